import { once } from "node:events";
import { type AddressInfo, createServer, type Server, type Socket } from "node:net";

/** A server whose every connection is a script, and what it saw. */
export interface Peer extends AsyncDisposable {
  readonly port: number;
  readonly sockets: Socket[];
}

export async function servePeer(onSocket: (socket: Socket, index: number) => void): Promise<Peer> {
  const sockets: Socket[] = [];
  const server: Server = createServer((socket) => {
    socket.on("error", () => undefined); // resets are part of the scripts
    onSocket(socket, sockets.push(socket) - 1);
    // A script that does not read would not see its peer leave either.
    if (socket.listenerCount("data") === 0) socket.resume();
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    port: (server.address() as AddressInfo).port,
    sockets,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

/** Answers each whole request (by its Content-Length) with `answer(request, number)`. */
export function answering(
  answer: (request: string, index: number) => string | Buffer,
): (socket: Socket) => void {
  let count = 0;
  return (socket) => {
    let held = "";
    socket.on("data", (chunk) => {
      held += chunk.toString("latin1");
      for (;;) {
        const end = held.indexOf("\r\n\r\n");
        const length = Number(/content-length: (\d+)/i.exec(held)?.[1] ?? 0);
        if (end === -1 || held.length < end + 4 + length) return;
        const request = held.slice(0, end + 4 + length);
        held = held.slice(end + 4 + length);
        socket.write(answer(request, count++));
      }
    });
  };
}
