import type { Socket } from "node:net";
import { connect } from "node:net";

/** A client that sends what it likes, byte by byte, and keeps what comes back. */
export interface RawConnection extends AsyncDisposable {
  readonly socket: Socket;
  readonly text: string;
  readonly isClosed: boolean;
  write(text: string | Uint8Array): void;
  /** Until what came back matches. Rejects when the connection closes first, or after a minute. */
  match(pattern: RegExp): Promise<RegExpExecArray>;
  closed(): Promise<void>;
}

const PATIENCE_MS = 60_000;

/** Connects to a port of this host. */
export async function openRawConnection(port: number): Promise<RawConnection> {
  const socket = connect({ host: "127.0.0.1", port });
  let text = "";
  let isClosed = false;
  const watchers = new Set<() => void>();
  const changed = (): void => {
    for (const watcher of [...watchers]) watcher();
  };
  socket.on("data", (chunk: Buffer) => {
    text += chunk.toString("latin1");
    changed();
  });
  socket.on("error", () => undefined); // a reset is a way to be turned away; `close` follows
  socket.on("close", () => {
    isClosed = true;
    changed();
  });
  await new Promise<void>((resolve) => {
    socket.once("connect", () => resolve()).once("close", () => resolve());
  });
  const until = <T>(look: () => T | undefined, what: string): Promise<T> =>
    new Promise((resolve, reject) => {
      const settle = (act: () => void): void => {
        clearTimeout(timer);
        watchers.delete(check);
        act();
      };
      const check = (): void => {
        const found = look();
        if (found !== undefined) settle(() => resolve(found));
        else if (isClosed) settle(() => reject(new Error(`closed before ${what}, after: ${text}`)));
      };
      const timer = setTimeout(() => settle(() => reject(new Error(`no ${what} in: ${text}`))), PATIENCE_MS);
      watchers.add(check);
      check();
    });
  return {
    socket,
    get text() {
      return text;
    },
    get isClosed() {
      return isClosed;
    },
    write: (bytes) => void socket.write(bytes),
    match: (pattern) => until(() => pattern.exec(text) ?? undefined, String(pattern)),
    closed: () => until(() => (isClosed ? true : undefined), "close").then(() => undefined),
    [Symbol.asyncDispose]: () => {
      socket.destroy();
      return Promise.resolve();
    },
  };
}
