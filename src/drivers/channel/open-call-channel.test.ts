import { spawn } from "node:child_process";
import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { afterEach, beforeEach, expect, test } from "vitest";
import { answering, type Peer, servePeer } from "../../../test/support/scripted-peer.ts";
import {
  type AnswerHead,
  type BodySource,
  type CallChannel,
  type CallRequest,
  type Exchange,
  ExecutorError,
} from "../../core/index.ts";
import { TimerWheel } from "../../std/index.ts";
import { type CallChannelOptions, openCallChannel } from "./open-call-channel.ts";

interface Heard {
  readonly head: AnswerHead | undefined;
  readonly body: string;
  readonly error: ExecutorError | undefined;
}

let channel: CallChannel;
let peer: Peer;
const peers: Peer[] = [];
/** A machine that stands still for seconds must not end what a test wants to go on. */
const PATIENT = { connectTimeoutMs: 60_000, idleLimitMs: 60_000 };

async function open(
  onSocket: (socket: Socket, index: number) => void,
  options: Partial<CallChannelOptions> = {},
): Promise<void> {
  peer = await servePeer(onSocket);
  peers.push(peer);
  const endpoint = { host: "127.0.0.1", port: peer.port };
  channel = openCallChannel({ wheel: new TimerWheel(), ...PATIENT, ...options })(endpoint);
}

beforeEach(() => {
  peers.length = 0;
});
afterEach(async () => {
  channel.close();
  for (const one of peers) await one[Symbol.asyncDispose]();
});

function post(body: string | BodySource, more: Partial<CallRequest> = {}): CallRequest {
  return {
    method: "POST",
    path: "/",
    contentType: "application/json",
    headers: [],
    body: typeof body === "string" ? Buffer.from(body) : body,
    ...more,
  };
}

function send(
  request: CallRequest,
  hooks: { onStart?(exchange: Exchange): void; onData?(exchange: Exchange, chunk: Uint8Array): void } = {},
): Promise<Heard> {
  return new Promise((resolve, reject) => {
    let head: AnswerHead | undefined;
    const parts: Buffer[] = [];
    let isOver = false;
    let isInSend = true;
    const finish = (error: ExecutorError | undefined): void => {
      if (isOver || isInSend) reject(new Error("ended twice, or before send returned"));
      isOver = true;
      resolve({ head, body: Buffer.concat(parts).toString(), error });
    };
    const exchange = channel.send(request, {
      onHead: (one) => {
        head = one;
      },
      onData: (chunk) => {
        parts.push(Buffer.from(chunk));
        hooks.onData?.(exchange, chunk);
      },
      onEnd: () => finish(undefined),
      onError: (error) => finish(ExecutorError.from(error)),
    });
    isInSend = false;
    hooks.onStart?.(exchange);
  });
}

const ok = (body: string, more = ""): string =>
  `HTTP/1.1 200 OK\r\n${more}Content-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`;

test("a call is one exact request, and the next one uses the same connection", async () => {
  const requests: string[] = [];
  await open(
    answering((request, index) => {
      requests.push(request);
      return ok(`answer ${index}`, "Content-Type: text/plain\r\n");
    }),
  );
  const first = await send(post('{"a":1}'));
  const second = await send(post("", { path: "/run?x=1", headers: [["X-Trace", "abc"]] }));
  expect(first).toMatchObject({
    body: "answer 0",
    error: undefined,
    head: { status: 200, contentType: "text/plain" },
  });
  expect(second.body).toBe("answer 1");
  expect(peer.sockets).toHaveLength(1);
  const host = `Host: 127.0.0.1:${peer.port}\r\nContent-Type: application/json\r\n`;
  expect(requests).toEqual([
    `POST / HTTP/1.1\r\n${host}Content-Length: 7\r\n\r\n{"a":1}`,
    `POST /run?x=1 HTTP/1.1\r\n${host}X-Trace: abc\r\nContent-Length: 0\r\n\r\n`,
  ]);
});

test("a body of any bytes arrives as it was sent, below and above the size that is joined to its head", async () => {
  const got: Buffer[] = [];
  await open((socket) => {
    let seen = Buffer.alloc(0);
    socket.on("data", (chunk) => {
      seen = Buffer.concat([seen, chunk]);
      const end = seen.indexOf("\r\n\r\n") + 4;
      const length = Number(/Content-Length: (\d+)/.exec(seen.toString("latin1"))?.[1]);
      if (end < 4 || seen.length < end + length) return;
      got.push(seen.subarray(end));
      seen = Buffer.alloc(0);
      socket.write(ok("x"));
    });
  });
  const all = Buffer.from(Array.from({ length: 256 }, (_, byte) => byte));
  for (const body of [all, Buffer.concat(Array.from({ length: 4000 }, () => all)), new Uint8Array(all)]) {
    expect((await send(post("", { body }))).error).toBeUndefined();
    expect(got.pop()?.equals(Buffer.from(body))).toBe(true);
  }
});

test("calls side by side have a connection each, up to the cap; the others wait in order", async () => {
  const waiting: { socket: Socket; request: string }[] = [];
  const pairs: string[][] = [];
  await open(
    (socket) => {
      socket.on("data", (chunk) => {
        waiting.push({ socket, request: chunk.toString().slice(-1) });
        if (waiting.length < 2) return;
        pairs.push(waiting.map(({ request }) => request).sort());
        for (const one of waiting.splice(0)) one.socket.write(ok(one.request));
      });
    },
    { connections: 2, mostConnections: 2 },
  );
  const answers = await Promise.all(["1", "2", "3", "4", "5", "6"].map((body) => send(post(body))));
  expect(answers.map((answer) => answer.body)).toEqual(["1", "2", "3", "4", "5", "6"]);
  expect(pairs).toEqual([
    ["1", "2"],
    ["3", "4"],
    ["5", "6"],
  ]);
  expect(peer.sockets).toHaveLength(2);
});

test("long calls do not keep others from the task for ever, and short ones share few connections", async () => {
  const held: Socket[] = [];
  let nowMs = 0;
  // How many are done before the pace is looked at is for this test to say, and not for how busy the machine is.
  const wheel = new TimerWheel(() => nowMs);
  let answered = 0;
  let go = (): void => undefined;
  const looked = new Promise<void>((resolve) => (go = resolve));
  await open(
    (socket) => {
      socket.on("data", (chunk) => {
        if (chunk.toString().endsWith("long")) {
          held.push(socket);
          return;
        }
        answered += 1;
        if (answered === 40) nowMs = 100;
        if (answered > 40)
          looked.then(
            () => socket.write(ok("short")),
            () => socket.destroy(),
          );
        else socket.write(ok("short"));
      });
    },
    { connections: 2, mostConnections: 5, wheel },
  );
  const short = Array.from({ length: 200 }, () => send(post("short")));
  // Set after the look at the pace, and for the same time: it comes after it.
  wheel.after(100, go);
  await Promise.all(short);
  expect(peer.sockets).toHaveLength(2);
  const long = Array.from({ length: 6 }, () => send(post("long")));
  const lookedLater = (): number => {
    nowMs += 100;
    return held.length;
  };
  await expect.poll(lookedLater).toBe(5);
  const last = send(post("short"));
  for (const socket of held.splice(0)) socket.write(ok("at last"));
  await expect.poll(() => held.length).toBe(1);
  held[0]?.write(ok("at last"));
  expect((await Promise.all(long)).every(({ body }) => body === "at last")).toBe(true);
  expect((await last).body).toBe("short");
  expect(peer.sockets.length).toBeLessThanOrEqual(5);
});

test("a call that waits for a connection may be cancelled, and one too many is refused", async () => {
  await open(() => undefined, { connections: 1, mostConnections: 1, waiting: 1 });
  let heard = 0;
  const sink = { onHead: () => heard++, onData: () => heard++, onEnd: () => heard++, onError: () => heard++ };
  const first = channel.send(post("1"), sink);
  const second = channel.send(post("2"), sink);
  expect((await send(post("3"))).error).toMatchObject({ code: "QUEUE_FULL" });
  second.cancel();
  second.cancel();
  const third = send(post("3"));
  first.cancel();
  await expect.poll(() => peer.sockets.length).toBe(2);
  peer.sockets[1]?.write(ok("3"));
  expect((await third).body).toBe("3");
  expect(heard).toBe(0);
});

test("nobody listens: unreachable, and nothing was sent", async () => {
  await open(() => undefined);
  // The peer keeps its port at another address, so that nobody else comes to listen there.
  channel = openCallChannel({ wheel: new TimerWheel(), ...PATIENT })({ host: "127.0.0.2", port: peer.port });
  expect((await send(post("x"))).error).toMatchObject({
    code: "TASK_UNREACHABLE",
    facts: { reason: "ECONNREFUSED" },
  });
});

test("a port that never accepts is unreachable after the connect deadline", async () => {
  await open(() => undefined);
  // Its accept queue is short and its only thread sleeps: once the queue is full, connecting hangs.
  const script = `const server = require("node:net").createServer().listen({ port: 0, host: "127.0.0.1", backlog: 1 }, () => {
    require("node:fs").writeSync(1, String(server.address().port));
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 60_000);
  })`;
  const child = spawn(process.execPath, ["-e", script], { stdio: ["ignore", "pipe", "inherit"] });
  const [port] = await once(child.stdout, "data");
  const fillers = Array.from({ length: 4 }, () =>
    connect(Number(port), "127.0.0.1").on("error", () => undefined),
  );
  try {
    await expect.poll(() => fillers.filter((filler) => !filler.connecting).length).toBeGreaterThan(1);
    channel = openCallChannel({ wheel: new TimerWheel(), connectTimeoutMs: 50 })({
      host: "127.0.0.1",
      port: Number(port),
    });
    expect((await send(post("x"))).error?.code).toBe("TASK_UNREACHABLE");
  } finally {
    child.kill("SIGKILL");
    for (const filler of fillers) filler.destroy();
  }
});

test.each([
  ["at once", ""],
  ["in its head", "HTTP/1.1 200 OK\r\nContent-"],
  ["in its body", "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf"],
  ["between chunks", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n"],
])("a server that ends %s has exited", async (_, answer) => {
  for (const end of ["end", "resetAndDestroy"] as const) {
    await open((socket) => {
      socket.once("data", () => socket.write(answer, () => socket[end]()));
    });
    expect((await send(post("x"))).error?.code).toBe("TASK_EXITED");
  }
});

test.each([
  ["garbage", "hello\r\n\r\n"],
  ["a bad chunk size", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nhi\r\n"],
  ["a chunk that is too long", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhello\r\n"],
  ["a chunk size without end", `HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2;${"x".repeat(2000)}`],
  [
    "endless trailers",
    `HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n${"A: b\r\n".repeat(4000)}`,
  ],
  ["a storm of interim answers", "HTTP/1.1 102 Processing\r\n\r\n".repeat(50)],
  ["another protocol", "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n"],
  ["a head above 16 KiB", `HTTP/1.1 200 OK\r\nA: ${"x".repeat(17_000)}`],
  ["a head above 16 KiB in small lines", `HTTP/1.1 200 OK\r\n${"A: b\r\n".repeat(4000)}\r\n`],
])("%s is not HTTP/1.1, and its connection is closed", async (_, answer) => {
  await open((socket) => {
    socket.once("data", () => socket.write(answer));
  });
  expect((await send(post("x"))).error?.code).toBe("TASK_PROTOCOL");
  await expect.poll(() => peer.sockets[0]?.destroyed).toBe(true);
});

test("interim answers are skipped", async () => {
  await open(
    answering(() => `HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early\r\nLink: x\r\n\r\n${ok("yes")}`),
  );
  expect(await send(post("x"))).toMatchObject({ head: { status: 200 }, body: "yes" });
});

test.each([
  ["it says so", "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 1\r\n\r\na"],
  ["it speaks HTTP/1.0", "HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\na"],
  ["it sends more than its answer", "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nabc"],
  ["it sends a body with 204", "HTTP/1.1 204 No Content\r\nContent-Length: 1\r\n\r\na"],
])("a connection is not used again when %s", async (_, answer) => {
  await open(answering(() => answer));
  expect((await send(post("x"))).error).toBeUndefined();
  expect((await send(post("x"))).error).toBeUndefined();
  expect(peer.sockets).toHaveLength(2);
});

test("a body without a length ends with its connection", async () => {
  await open((socket) => {
    socket.once("data", () => socket.end("HTTP/1.0 200 OK\nContent-Type: text/plain\n\nall of it"));
  });
  expect(await send(post("x"))).toMatchObject({ body: "all of it", error: undefined });
});

test("an idle connection that the server closes is forgotten, and the next call has a new one", async () => {
  await open(answering(() => ok("x")));
  await send(post("1"));
  const [first] = peer.sockets;
  first?.end();
  await expect.poll(() => first?.destroyed).toBe(true);
  expect((await send(post("2"))).error).toBeUndefined();
  expect(peer.sockets).toHaveLength(2);
});

test("an idle connection that speaks unasked is closed", async () => {
  await open(answering(() => ok("x")));
  await send(post("1"));
  peer.sockets[0]?.write(ok("a surprise"));
  await expect.poll(() => peer.sockets[0]?.destroyed).toBe(true);
  expect((await send(post("2"))).body).toBe("x");
});

test("an idle connection near the server's own limit is not used again", async () => {
  await open(answering(() => ok("x", "Keep-Alive: timeout=0\r\n")));
  await send(post("1"));
  await send(post("2"));
  expect(peer.sockets).toHaveLength(2);
});

test("idle connections are closed after their time without any call", async () => {
  await open(
    answering(() => ok("x")),
    { idleLimitMs: 50 },
  );
  await send(post("1"));
  await expect.poll(() => peer.sockets[0]?.destroyed).toBe(true);
});

test("a reused connection that ends without an answer is an exit: the request may have been seen", async () => {
  const requests: string[] = [];
  await open((socket) => {
    let isFirst = true;
    socket.on("data", (chunk) => {
      requests.push(chunk.toString().slice(-1));
      if (isFirst) socket.write(ok("x"));
      else socket.end();
      isFirst = false;
    });
  });
  await send(post("1"));
  expect((await send(post("2"))).error?.code).toBe("TASK_EXITED");
  expect(requests).toEqual(["1", "2"]);
});

test("the answer to a request whose body is still on its way is taken, and its connection is given up", async () => {
  await open((socket) => {
    socket.once("data", () => socket.write(ok("too much")));
  });
  let isDestroyed = false;
  const source: BodySource = {
    length: 1000,
    start: (sink) => sink.onData(Buffer.from("some")),
    pause() {},
    resume() {},
    destroy() {
      isDestroyed = true;
    },
  };
  expect(await send(post(source))).toMatchObject({ body: "too much", error: undefined });
  expect(isDestroyed).toBe(true);
  await expect.poll(() => peer.sockets[0]?.destroyed).toBe(true);
});

test.each([
  ["with its length", 9, "Content-Length: 9\r\n\r\none two 3"],
  ["in chunks", undefined, "Transfer-Encoding: chunked\r\n\r\n4\r\none \r\n5\r\ntwo 3\r\n0\r\n\r\n"],
])("a pulled body is sent %s", async (_, length, tail) => {
  let seen = "";
  await open((socket) => {
    socket.on("data", (chunk) => {
      seen += chunk.toString();
      if (!seen.endsWith(tail)) return;
      seen = "";
      socket.write(ok("got it"));
    });
  });
  const source: BodySource = {
    length,
    start(sink) {
      sink.onData(Buffer.from("one "));
      setImmediate(() => {
        sink.onData(Buffer.from("two 3"));
        sink.onEnd();
      });
    },
    pause() {},
    resume() {},
    destroy() {},
  };
  expect((await send(post(source))).body).toBe("got it");
  expect((await send(post(source))).body).toBe("got it");
  expect(peer.sockets).toHaveLength(1);
});

test("a pulled body that breaks off fails the call and closes the connection", async () => {
  await open(() => undefined);
  const failing: BodySource = {
    length: 10,
    start: (sink) => sink.onError(new ExecutorError("CALL_CANCELLED")),
    pause() {},
    resume() {},
    destroy() {},
  };
  expect((await send(post(failing))).error?.code).toBe("CALL_CANCELLED");
  const short: BodySource = { ...failing, start: (sink) => sink.onEnd() };
  expect((await send(post(short))).error?.code).toBe("CALL_CANCELLED");
  await expect
    .poll(() => peer.sockets.every((socket) => socket.destroyed || socket.readableEnded))
    .toBe(true);
});

test("a source is paused while the server does not read, and goes on when it does", async () => {
  let server: Socket | undefined;
  let received = 0;
  await open((socket) => {
    server = socket;
    socket.pause();
    socket.on("data", (chunk) => {
      received += chunk.length;
      if (received > 32 * 1024 * 1024) socket.write(ok("all"));
    });
    socket.pause();
  });
  let produced = 0;
  let isFlowing = true;
  let pull = (): void => undefined;
  const source: BodySource = {
    length: 32 * 1024 * 1024,
    start(sink) {
      pull = () => {
        while (isFlowing && produced < 32) {
          produced += 1;
          sink.onData(Buffer.alloc(1024 * 1024));
        }
        if (produced === 32) {
          produced += 1;
          sink.onEnd();
        }
      };
      pull();
    },
    pause() {
      isFlowing = false;
    },
    resume() {
      isFlowing = true;
      pull();
    },
    destroy() {},
  };
  const answer = send(post(source));
  await expect.poll(() => isFlowing).toBe(false);
  expect(produced).toBeLessThan(33);
  server?.resume();
  expect((await answer).body).toBe("all");
});

test("a paused answer stops its server and loses nothing", async () => {
  const size = 64 * 1024 * 1024;
  let written = 0;
  await open((socket) => {
    socket.once("data", () => {
      socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${size}\r\n\r\n`);
      const more = (): void => {
        while (written < size) {
          written += 1024 * 1024;
          if (!socket.write(Buffer.alloc(1024 * 1024))) return;
        }
      };
      socket.on("drain", more);
      more();
    });
  });
  let got = 0;
  let exchange: Exchange | undefined;
  const ended = new Promise<void>((resolve, reject) => {
    exchange = channel.send(post("x"), {
      onHead: () => exchange?.pause(),
      onData: (chunk) => {
        got += chunk.byteLength;
      },
      onEnd: resolve,
      onError: reject,
    });
  });
  await expect.poll(() => written).toBeGreaterThan(0);
  // The loop has turned often enough for a server that is not held back to have sent it all.
  for (let turn = 0; turn < 200; turn += 1) await new Promise((resolve) => setImmediate(resolve));
  expect(got).toBe(0);
  expect(written).toBeLessThan(size);
  exchange?.resume();
  await ended;
  expect(got).toBe(size);
});

test("an answer that was whole before its server ended is handed on after a pause", async () => {
  await open((socket) => {
    socket.once("data", () => socket.end(ok("whole", "Connection: close\r\n")));
  });
  const exchanges: Exchange[] = [];
  const answer = send(post("x"), {
    onStart: (exchange) => {
      exchange.pause();
      exchanges.push(exchange);
    },
  });
  await expect.poll(() => peer.sockets[0]?.writableFinished).toBe(true);
  exchanges[0]?.resume();
  expect(await answer).toMatchObject({ body: "whole", error: undefined });
});

test("a cancelled call closes its connection and is not heard of again", async () => {
  await open((socket) => {
    socket.once("data", () => socket.write("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf"));
  });
  const heard: string[] = [];
  const exchange = channel.send(post("x"), {
    onHead: () => heard.push("head"),
    onData: () => {
      heard.push("data");
      exchange.cancel();
    },
    onEnd: () => heard.push("end"),
    onError: () => heard.push("error"),
  });
  await expect.poll(() => peer.sockets[0]?.destroyed).toBe(true);
  expect(heard).toEqual(["head", "data"]);
});

test("a closed channel takes no call, refuses the waiting ones, and lets running ones end", async () => {
  await open(() => undefined, { connections: 1, mostConnections: 1 });
  const running = send(post("1"));
  const waiting = send(post("2"));
  await expect.poll(() => peer.sockets.length).toBe(1);
  channel.close();
  channel.close();
  expect((await waiting).error?.code).toBe("TASK_UNREACHABLE");
  expect((await send(post("3"))).error?.code).toBe("TASK_UNREACHABLE");
  peer.sockets[0]?.write(ok("done"));
  expect((await running).body).toBe("done");
  await expect.poll(() => peer.sockets[0]?.destroyed).toBe(true);
});

test("a request that would break out of its line is not sent", async () => {
  await open(answering(() => ok("x")));
  for (const bad of [
    post("", { path: "/ HTTP/1.1\r\nX: y" }),
    post("", { path: "run" }),
    post("", { contentType: "a\r\nb: c" }),
    post("", { headers: [["X\r\nY", "1"]] }),
    post("", { headers: [["X", "1\n2"]] }),
  ]) {
    expect((await send(bad)).error?.code).toBe("INPUT_INVALID");
  }
  expect((await send(post("fine"))).error).toBeUndefined();
});
