import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { connect, createServer } from "node:net";

/** Tries until the kernel names a port that no sandbox of ours has been promised. */
const TRIES = 32;
const CONNECT_TIMEOUT_MS = 1000;

/** Ports that sandboxes of this driver were told to listen on. */
export class PortLeases {
  readonly #taken = new Set<number>();

  /**
   * One that nobody listens on now, on any address of this host. Somebody may still take it before the task does; who
   * listens is checked when it answers.
   */
  async take(): Promise<number> {
    for (let attempt = 0; attempt < TRIES; attempt += 1) {
      const port = await freePort();
      if (this.#taken.has(port)) continue;
      this.#taken.add(port);
      return port;
    }
    throw new Error("the kernel names no free port");
  }

  giveBack(port: number): void {
    this.#taken.delete(port);
  }
}

async function freePort(): Promise<number> {
  return await listenOnce("::").catch(async (error: unknown) => {
    // A host without IPv6.
    if ((error as NodeJS.ErrnoException).code === "EADDRINUSE") throw error;
    return await listenOnce("0.0.0.0");
  });
}

async function listenOnce(host: string): Promise<number> {
  const server = createServer();
  server.listen({ host, port: 0, exclusive: true });
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, "close");
  return port;
}

/** Whether somebody accepts connections there now. */
export function accepts(host: string, port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host, port });
    const settle = (answer: boolean): void => {
      socket.destroy();
      resolve(answer);
    };
    socket.setTimeout(CONNECT_TIMEOUT_MS, () => settle(false));
    socket.on("error", () => settle(false));
    socket.on("connect", () => settle(true));
  });
}
