import { once } from "node:events";
import { type AddressInfo, createServer, type Server, type Socket } from "node:net";
import { afterEach, beforeEach, expect, test } from "vitest";
import type { CallChannel, Exchange } from "../../core/index.ts";
import { ExecutorError } from "../../core/index.ts";
import { TimerWheel } from "../../std/index.ts";
import { openCallChannel } from "./open-call-channel.ts";

const SIZE_BYTES = 8 * 1024 * 1024;
const HEAD = "HTTP/1.1 200 OK\r\n";

/** What the server does with each request, by its body; none of it ends the connection, as where the network goes with the server. */
const SCRIPTS: Readonly<Record<string, (socket: Socket) => void>> = {
  nothing: () => undefined,
  half: (socket) => socket.write(`${HEAD}Content-Length: 10\r\n\r\nhalf`),
  large: (socket) => {
    socket.write(`${HEAD}Content-Length: ${SIZE_BYTES}\r\n\r\n`);
    socket.write(Buffer.alloc(SIZE_BYTES, "#"));
  },
  // One read brings it all.
  chunks: (socket) =>
    socket.write(`${HEAD}Transfer-Encoding: chunked\r\n\r\n3\r\none\r\n3\r\ntwo\r\n0\r\n\r\n`),
};

let server: Server;
let sockets: Socket[];
let channel: CallChannel;

beforeEach(async () => {
  sockets = [];
  server = createServer((socket) => {
    sockets.push(socket);
    socket.on("error", () => undefined); // a reset is what a given up call looks like
    socket.once("data", (request) => SCRIPTS[String(request).split("\r\n\r\n")[1] ?? ""]?.(socket));
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  channel = openCallChannel({ wheel: new TimerWheel(), connectTimeoutMs: 60_000 })({
    host: "127.0.0.1",
    port,
  });
});
afterEach(async () => {
  channel.close();
  for (const socket of sockets) socket.destroy();
  await new Promise((resolve) => server.close(resolve));
});

interface Call {
  readonly exchange: Exchange;
  readonly end: Promise<{ readonly body: string; readonly code: string | undefined }>;
  isOver: boolean;
}

function send(
  script: string,
  onData: (chunk: Uint8Array, exchange: Exchange) => void = () => undefined,
): Call {
  const request = {
    method: "POST",
    path: "/",
    contentType: "",
    headers: [],
    body: Buffer.from(script),
  } as const;
  let resolve: (end: Awaited<Call["end"]>) => void = () => undefined;
  const end: Call["end"] = new Promise((settle) => {
    resolve = settle;
  });
  const parts: Buffer[] = [];
  const finish = (error?: Error): void => {
    call.isOver = true;
    resolve({
      body: Buffer.concat(parts).toString(),
      code: error === undefined ? undefined : ExecutorError.from(error).code,
    });
  };
  const exchange = channel.send(request, {
    onHead: () => undefined,
    onData: (chunk) => {
      parts.push(Buffer.from(chunk));
      onData(chunk, exchange);
    },
    onEnd: finish,
    onError: finish,
  });
  const call: Call = { exchange, end, isOver: false };
  return call;
}

test("calls that hear nothing more of an ended server end although their connections do not", async () => {
  const calls = [send("nothing"), send("half")];
  await expect.poll(() => sockets.filter((socket) => socket.bytesRead > 0)).toHaveLength(2);
  channel.serverEnded();
  expect(await Promise.all(calls.map((call) => call.end))).toEqual([
    { body: "", code: "TASK_EXITED" },
    { body: "half", code: "TASK_EXITED" },
  ]);
  expect((await send("half").end).code).toBe("TASK_UNREACHABLE");
});

test("what an ended server had sent is handed on when its receiver wants it, however late", async () => {
  const whole = send("large");
  const broken = send("half");
  const listening = send("nothing");
  for (const { exchange } of [whole, broken]) exchange.pause();
  await expect.poll(() => sockets.filter((socket) => socket.bytesRead > 0)).toHaveLength(3);
  channel.serverEnded();
  // The end of a call that does listen is the clock: by then, the others are not given up.
  expect((await listening.end).code).toBe("TASK_EXITED");
  expect([whole.isOver, broken.isOver]).toEqual([false, false]);
  for (const { exchange } of [whole, broken]) exchange.resume();
  const { body, code } = await whole.end;
  expect([body.length, code]).toEqual([SIZE_BYTES, undefined]);
  expect(await broken.end).toEqual({ body: "half", code: "TASK_EXITED" });
});

test("answers of any size take no memory but one buffer for all connections, and what is held in a pause is not overwritten", async () => {
  let pieces = 0;
  const held = send("chunks", (_, exchange) => {
    pieces += 1;
    if (pieces === 1) exchange.pause();
  });
  await expect.poll(() => pieces).toBe(1);
  const buffers = new Set<ArrayBufferLike>();
  const large = [1, 2, 3].map(() => send("large", (chunk) => buffers.add(chunk.buffer)));
  await Promise.all(large.map((call) => call.end));
  expect(buffers.size).toBe(1);
  held.exchange.resume();
  expect(await held.end).toEqual({ body: "onetwo", code: undefined });
});
