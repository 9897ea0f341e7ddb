import type { Socket } from "node:net";
import { connect, createServer } from "node:net";

/** Stands between a client and a server on the loopback, and does to the bytes what it is told. */
export interface TcpProxy extends AsyncDisposable {
  readonly port: number;
  /** How many connections were made to it. */
  readonly connections: number;
  /** Nothing passes any more in either direction, and nothing is closed: a cable that was pulled. */
  freeze(): void;
  /** What comes from now on passes; connections that were frozen stay dead. */
  heal(): void;
  /** Ends every connection with a reset. */
  reset(): void;
  /** Answers what the client sends with `reply(chunk)` instead of passing it on, as long as that gives something. */
  answer(reply: ((chunk: string) => string | undefined) | undefined): void;
}

export async function openTcpProxy(serverPort: number): Promise<TcpProxy> {
  const pairs = new Set<{ readonly client: Socket; readonly server: Socket; isFrozen: boolean }>();
  let isFrozen = false;
  let connections = 0;
  let reply: ((chunk: string) => string | undefined) | undefined;
  const listener = createServer((client) => {
    connections += 1;
    const server = connect(serverPort, "127.0.0.1");
    const pair = { client, server, isFrozen };
    pairs.add(pair);
    client.on("data", (chunk) => {
      if (pair.isFrozen) return;
      const own = reply?.(chunk.toString("latin1"));
      if (own === undefined) server.write(chunk);
      else client.write(own);
    });
    server.on("data", (chunk) => {
      if (!pair.isFrozen) client.write(chunk);
    });
    const end = (): void => {
      if (pair.isFrozen) return;
      client.destroy();
      server.destroy();
      pairs.delete(pair);
    };
    for (const socket of [client, server]) {
      socket.on("error", end);
      socket.on("close", end);
    }
  });
  await new Promise<void>((resolve) => listener.listen(0, "127.0.0.1", resolve));
  const address = listener.address();
  if (address === null || typeof address === "string") throw new Error("no port");
  return {
    port: address.port,
    get connections() {
      return connections;
    },
    freeze: () => {
      isFrozen = true;
      for (const pair of pairs) pair.isFrozen = true;
    },
    heal: () => {
      isFrozen = false;
    },
    reset: () => {
      for (const { client, server } of pairs) {
        client.resetAndDestroy();
        server.destroy();
      }
      pairs.clear();
    },
    answer: (next) => {
      reply = next;
    },
    async [Symbol.asyncDispose]() {
      const closed = new Promise((resolve) => listener.close(resolve));
      for (const { client, server } of pairs) {
        client.destroy();
        server.destroy();
      }
      await closed;
    },
  };
}
