import type { Server } from "node:http";
import { createServer } from "node:http";
import type { AddressInfo, Socket } from "node:net";
import { connect } from "node:net";
import { afterEach, expect, test } from "vitest";
import { poll } from "../../../test/support/poll.ts";
import { refuseBadRequests } from "./refuse-bad-requests.ts";

const HEADERS_TIMEOUT_MS = 300;
const GET = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";

const closing: (() => void)[] = [];
afterEach(() => {
  for (const close of closing.splice(0)) close();
});

async function open(): Promise<{ readonly server: Server; readonly port: number }> {
  const server = createServer(
    {
      headersTimeout: HEADERS_TIMEOUT_MS,
      requestTimeout: 2 * HEADERS_TIMEOUT_MS,
      connectionsCheckingInterval: 50,
      keepAliveTimeout: 60_000,
    },
    (_request, response) => response.end("well"),
  );
  refuseBadRequests(server);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  closing.push(() => server.close().closeAllConnections());
  return { server, port: (server.address() as AddressInfo).port };
}

interface Client {
  readonly socket: Socket;
  said(): string;
  readonly closed: Promise<unknown>;
}

async function dial(port: number): Promise<Client> {
  const socket = connect(port, "127.0.0.1");
  let said = "";
  socket.on("data", (chunk: Buffer) => (said += chunk.toString()));
  socket.on("error", () => undefined); // what was said is what counts
  closing.push(() => socket.destroy());
  const closed = new Promise((resolve) => socket.once("close", resolve));
  await new Promise((resolve) => socket.once("connect", resolve));
  return { socket, said: () => said, closed };
}

test("a request that came while this process stood still is answered, however long that was", async () => {
  const { server, port } = await open();
  const accepted = new Promise((resolve) => server.once("connection", resolve));
  const client = await dial(port);
  await accepted;
  client.socket.write(GET);
  const stillUntilMs = performance.now() + 3 * HEADERS_TIMEOUT_MS;
  while (performance.now() < stillUntilMs);
  await poll("it is answered", () => client.said().endsWith("well") || client.said());
  expect(client.said()).toMatch(/^HTTP\/1\.1 200 /);
  // And so is the next one, though it was called late before.
  client.socket.write(GET);
  await poll("the next is answered", () => client.said().split(" 200 OK").length === 3 || client.said());
});

test.each([
  ["nothing", "", "408 Request Timeout"],
  ["a part of a head", "GET / HTTP/1.1\r\nHo", "408 Request Timeout"],
  ["what is no HTTP", "hello\r\n\r\n", "400 Bad Request"],
  [
    "a head that is too long",
    `GET / HTTP/1.1\r\nA: ${"x".repeat(17_000)}\r\n\r\n`,
    "431 Request Header Fields Too Large",
  ],
])("a client that sends %s is told so, and its connection ends", async (_what, bytes, status) => {
  const { port } = await open();
  const client = await dial(port);
  client.socket.write(bytes);
  await client.closed;
  expect(client.said()).toBe(`HTTP/1.1 ${status}\r\nConnection: close\r\n\r\n`);
});

test("a head that trickles after a whole request is refused as well", async () => {
  const { port } = await open();
  const client = await dial(port);
  client.socket.write(`${GET}GET / HTT`);
  await client.closed;
  expect(client.said()).toMatch(
    /^HTTP\/1\.1 200 [^]*HTTP\/1\.1 408 Request Timeout\r\nConnection: close\r\n\r\n$/,
  );
});
