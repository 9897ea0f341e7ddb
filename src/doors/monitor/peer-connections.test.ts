import { once } from "node:events";
import type { Server } from "node:http";
import { createServer } from "node:http";
import type { AddressInfo, Socket } from "node:net";
import { connect } from "node:net";
import { afterEach, expect, test } from "vitest";
import { limitPeers } from "./peer-connections.ts";

let server: Server | undefined;
const sockets: Socket[] = [];
afterEach(() => {
  for (const socket of sockets.splice(0)) socket.destroy();
  server?.closeAllConnections();
  server?.close();
});

/** Answers `/` at once and everything else never. */
async function open(connections: number, connectionsPerPeer: number): Promise<number> {
  server = createServer((request, response) => {
    if (request.url === "/") response.end("ok");
    else response.write("and so on");
  });
  limitPeers(server, { connections, connectionsPerPeer });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return (server.address() as AddressInfo).port;
}

/** From an address of its own: on Linux all of 127/8 is this host. */
async function dial(port: number, from: string, path?: string): Promise<Socket> {
  const socket = connect({ port, host: "127.0.0.1", localAddress: from });
  sockets.push(socket);
  socket.on("error", () => undefined);
  await once(socket, "connect");
  if (path !== undefined) {
    socket.write(`GET ${path} HTTP/1.1\r\nHost: a\r\n\r\n`);
    await once(socket, "data");
  }
  return socket;
}

async function isServed(socket: Socket): Promise<boolean> {
  const ended = once(socket, "close").then(() => false);
  const answered = once(socket, "data").then(() => true);
  socket.write("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
  return await Promise.race([ended, answered]);
}

test("one peer cannot hold every connection: past its share its own oldest idle one goes", async () => {
  const port = await open(4, 2);
  const first = await dial(port, "127.0.0.2", "/");
  const firstEnds = once(first, "close");
  await dial(port, "127.0.0.2");
  const third = await dial(port, "127.0.0.2");
  await firstEnds;
  expect(await isServed(third)).toBe(true);
  const other = await dial(port, "127.0.0.3");
  expect(await isServed(other)).toBe(true);
});

test("a peer whose connections are all at work gets no more, and others still do", async () => {
  const port = await open(4, 2);
  const streams = [await dial(port, "127.0.0.2", "/stream"), await dial(port, "127.0.0.2", "/stream")];
  const third = await dial(port, "127.0.0.2");
  expect(await isServed(third)).toBe(false);
  expect(streams.map((socket) => socket.closed)).toEqual([false, false]);
  expect(await isServed(await dial(port, "127.0.0.3"))).toBe(true);
});

test("past the limit of all the oldest idle connection makes room for a new peer", async () => {
  const port = await open(3, 2);
  const idle = await dial(port, "127.0.0.2", "/");
  const idleEnds = once(idle, "close");
  await dial(port, "127.0.0.2", "/stream");
  await dial(port, "127.0.0.3", "/stream");
  expect(await isServed(await dial(port, "127.0.0.4"))).toBe(true);
  await idleEnds;
});
