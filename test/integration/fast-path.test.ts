import { once } from "node:events";
import { connect, type Socket } from "node:net";
import fc from "fast-check";
import { afterEach, expect, test, vi } from "vitest";
import { ExecutorError } from "../../src/core/index.ts";
import { openTestDoor, type TestDoor } from "../support/open-test-door.ts";

/** One answer off the wire. */
interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

const sockets: Socket[] = [];
afterEach(() => {
  for (const socket of sockets.splice(0)) socket.destroy();
});

async function dial(door: TestDoor): Promise<Socket> {
  const socket = connect({ port: door.port, host: "127.0.0.1", noDelay: true });
  socket.on("error", () => undefined); // resets are part of the tests
  sockets.push(socket);
  await once(socket, "connect");
  return socket;
}

/** Reads `count` answers, or all until the connection ends. */
function answers(socket: Socket, count = Number.POSITIVE_INFINITY): Promise<Answer[]> {
  return new Promise((resolve) => {
    let held = Buffer.alloc(0);
    const found: Answer[] = [];
    const look = (): void => {
      for (;;) {
        const end = held.indexOf("\r\n\r\n");
        if (end === -1) break;
        const [statusLine = "", ...lines] = held.toString("latin1", 0, end).split("\r\n");
        const headers = Object.fromEntries(
          lines.map((line) => [
            line.slice(0, line.indexOf(":")).toLowerCase(),
            line.slice(line.indexOf(":") + 2),
          ]),
        );
        const body =
          headers["transfer-encoding"] === "chunked"
            ? chunks(held, end + 4)
            : plainBody(held, end + 4, headers);
        if (body === undefined) break;
        found.push({ status: Number(statusLine.split(" ")[1]), headers, body: body.bytes.toString("utf8") });
        held = held.subarray(body.end);
      }
      if (found.length >= count) finish();
    };
    const onData = (chunk: Buffer): void => {
      held = Buffer.concat([held, chunk]);
      look();
    };
    const finish = (): void => {
      socket.off("data", onData).off("close", finish).off("end", finish);
      resolve(found);
    };
    socket.on("data", onData);
    socket.on("close", finish);
    socket.on("end", finish);
  });
}

interface Body {
  readonly bytes: Buffer;
  readonly end: number;
}

function plainBody(held: Buffer, start: number, headers: Answer["headers"]): Body | undefined {
  const end = start + Number(headers["content-length"] ?? 0);
  return held.length < end ? undefined : { bytes: held.subarray(start, end), end };
}

/** Undoes the chunked coding once all of it is there. */
function chunks(held: Buffer, start: number): Body | undefined {
  if (!held.includes("\r\n0\r\n\r\n", start)) return undefined;
  const parts: Buffer[] = [];
  for (let at = start; ; ) {
    const lineEnd = held.indexOf("\r\n", at);
    const size = Number.parseInt(held.toString("latin1", at, lineEnd), 16);
    if (lineEnd === -1 || held.length < lineEnd + 4 + size) return undefined;
    if (size === 0) return { bytes: Buffer.concat(parts), end: lineEnd + 4 };
    parts.push(held.subarray(lineEnd + 2, lineEnd + 2 + size));
    at = lineEnd + 4 + size;
  }
}

function plain(body: string, more = ""): string {
  return `POST / HTTP/1.1\r\nHost: 127.0.0.1:2591\r\n${more}Content-Type: application/json\r\nContent-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`;
}

const call = (input: string, more = {}): string => JSON.stringify({ id: "echo:1", input, ...more });

/** What must not depend on the way that a request took. */
function essence({ status, headers, body }: Answer): unknown {
  const own = [
    "content-type",
    "content-length",
    "transfer-encoding",
    "hearth-sandbox-id",
    "hearth-isolation",
    "hearth-start",
    "hearth-error",
    "connection",
    "keep-alive",
  ];
  return { status, body, headers: Object.fromEntries(own.map((name) => [name, headers[name]])) };
}

test("a plain request is served from the socket, with who ran it in its headers", async () => {
  await using door = await openTestDoor();
  const socket = await dial(door);
  const beforeMs = Date.now();
  socket.write(plain(call("hi")));
  const [answer] = await answers(socket, 1);
  expect(answer).toMatchObject({
    status: 200,
    body: '{\n    "success": true,\n    "msg": "hi"\n}',
    headers: {
      "content-type": "application/json; charset=utf-8",
      "hearth-sandbox-id": "s1",
      "hearth-isolation": "container",
      "hearth-start": "warm",
    },
  });
  expect(answer?.headers["hearth-run-id"]).toMatch(/^[0-9a-z]{26}$/);
  // It tells whole seconds.
  const dateMs = Date.parse(answer?.headers["date"] ?? "");
  expect(dateMs).toBeGreaterThan(beforeMs - 1000);
  expect(dateMs).toBeLessThanOrEqual(Date.now());
  expect(door.counts()).toMatchObject({ fast: 1, requests: 1, handedOver: 0 });
  expect(door.executor.calls[0]).toMatchObject({
    task: { image: "echo:1" },
    request: { method: "POST", path: "/", contentType: "application/json" },
    options: { door: "http" },
  });
});

test("M28: both paths give the same bytes", async () => {
  await using door = await openTestDoor();
  door.executor.script = (one) => {
    const input = Buffer.from(one.request.body as Uint8Array);
    if (input.toString() === "fail") one.fail(new ExecutorError("QUEUE_FULL"));
    else if (input.toString() === "large") one.answer('<"ü">'.repeat(100_000));
    else if (input.toString() === "500") one.answer("it broke", 500);
    else one.answer(input);
  };
  const bodies = [
    ...[
      "",
      "hi",
      '<"&>',
      "a\u2028b",
      "\u0000\b\f\n\r\t\u001f",
      "äöü €😀",
      "fail",
      "500",
      "x".repeat(60_000),
      "large",
    ].map((input) => call(input)),
    ...["", "{", "[]", '{"input":"x"}', '{"id":"a","resource":{"cpu":0.55}}', '{"id":"a","input":{}}'],
    call("x", { runtime: "odd" }),
  ];
  const fast = await dial(door);
  const slow = await dial(door);
  for (const body of bodies) {
    fast.write(plain(body));
    slow.write(plain(body, "Cookie: slow=1\r\n"));
    const [[one], [other]] = await Promise.all([answers(fast, 1), answers(slow, 1)]);
    if (one === undefined || other === undefined) throw new Error(`no answer to ${body}`);
    expect(essence(one)).toEqual(essence(other));
  }
  expect(door.counts()).toMatchObject({ requests: bodies.length, handedOver: 1 });
});

test.each([
  ["another method", "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", 405],
  ["another path", "GET /stats HTTP/1.1\r\nHost: localhost\r\n\r\n", 200],
  ["a query", "POST /?a HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n", 400],
  ["HTTP/1.0", `POST / HTTP/1.0\r\nContent-Length: ${call("x").length}\r\n\r\n${call("x")}`, 200],
  [
    "chunks",
    `POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n`,
    400,
  ],
  ["two lengths", plain(call("x"), "Content-Length: 1\r\n"), 400],
  ["a length and chunks", plain(call("x"), "Transfer-Encoding: chunked\r\n"), 400],
  ["a signed length", "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: +5\r\n\r\nhello", 400],
  ["no host", "POST / HTTP/1.1\r\nContent-Length: 0\r\n\r\n", 400],
  ["two hosts", plain(call("x"), "Host: localhost\r\n"), 400],
  ["a foreign host", "POST / HTTP/1.1\r\nHost: evil.example\r\nContent-Length: 0\r\n\r\n", 403],
  ["a foreign origin", plain(call("x"), "Origin: https://evil.example\r\n"), 403],
  ["a cross-site fetch", plain(call("x"), "Sec-Fetch-Site: cross-site\r\n"), 403],
  ["a compressed body", plain(call("x"), "Content-Encoding: gzip\r\n"), 415],
  ["a folded header", "POST / HTTP/1.1\r\nHost: localhost\r\nA: b\r\n c\r\nContent-Length: 0\r\n\r\n", 400],
  ["a lone LF", "POST / HTTP/1.1\nHost: localhost\nContent-Length: 0\n\n", 400],
  ["a NUL", "POST / HTTP/1.1\r\nHost: localhost\r\nA: \0\r\nContent-Length: 0\r\n\r\n", 400],
  ["garbage", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 hello\r\n\r\n", 400],
])("%s is not for the fast path, and answered as without it", async (_, request, status) => {
  await using door = await openTestDoor();
  const socket = await dial(door);
  socket.write(request, "latin1");
  expect((await answers(socket, 1))[0]?.status).toBe(status);
  expect(door.counts()).toMatchObject({ requests: 0, handedOver: 1, fast: 0 });
  expect(door.executor.calls.length).toBe(status === 200 && request.includes("POST") ? 1 : 0);
  socket.destroy(); // a refused connection stays open for a moment otherwise
});

test("a connection changes over at any request, and none of its bytes is lost", async () => {
  await using door = await openTestDoor();
  const big = call("y".repeat(200_000));
  const socket = await dial(door);
  const all = [
    plain(call("1")),
    plain(call("2")),
    plain(big),
    plain(call("3")),
    "GET /stats HTTP/1.1\r\nHost: localhost\r\n\r\n",
    plain(call("4")),
  ];
  socket.write(all.join(""));
  const got = await answers(socket, all.length);
  expect(got.map(({ body }) => (JSON.parse(body) as { msg?: string }).msg?.slice(0, 2))).toEqual([
    "1",
    "2",
    "yy",
    "3",
    undefined,
    "4",
  ]);
  expect(door.counts()).toMatchObject({ requests: 2, handedOver: 1 });
});

test("however the bytes of several requests are cut, each is answered in turn, on either path", async () => {
  await using door = await openTestDoor({ limits: { connectionsPerPeer: 10_000, connections: 10_000 } });
  const request = fc.oneof(
    {
      weight: 6,
      arbitrary: fc.string({ unit: "binary", maxLength: 200 }).map((input) => plain(call(input))),
    },
    { weight: 1, arbitrary: fc.constant(plain("{")) },
    { weight: 1, arbitrary: fc.constant("GET /stats HTTP/1.1\r\nHost: localhost\r\n\r\n") },
    {
      weight: 1,
      arbitrary: fc.string({ maxLength: 50 }).map((input) => plain(call(input), "X-Any: thing\r\n")),
    },
    {
      weight: 1,
      arbitrary: fc.string({ maxLength: 50 }).map((input) => plain(call(input), "Cookie: slow=1\r\n")),
    },
  );
  const streams = fc.array(request, { minLength: 1, maxLength: 8 });
  const cuts = fc.array(fc.nat({ max: 4000 }), { maxLength: 8 });
  await fc.assert(
    fc.asyncProperty(streams, cuts, async (requests, places) => {
      const bytes = Buffer.from(requests.join(""));
      const split = await dial(door);
      const slow = await dial(door);
      const fromSplit = answers(split, requests.length);
      const fromSlow = answers(slow, requests.length + 1);
      slow.write(Buffer.concat([Buffer.from("GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n"), bytes]));
      let start = 0;
      for (const end of [
        ...places.map((place) => place % bytes.length).sort((a, b) => a - b),
        bytes.length,
      ]) {
        split.write(bytes.subarray(start, end));
        start = end;
        // A turn of the loop, so that the pieces do not travel together.
        await new Promise((resolve) => setImmediate(resolve));
      }
      expect((await fromSplit).map(essence)).toEqual((await fromSlow).slice(1).map(essence));
      split.destroy();
      slow.destroy();
    }),
    { numRuns: 150 },
  );
});

test("many requests sent ahead are held back, not dropped", async () => {
  await using door = await openTestDoor();
  const socket = await dial(door);
  const inputs = Array.from({ length: 500 }, (_, index) => `${index} ${"z".repeat(1000)}`);
  socket.write(inputs.map((input) => plain(call(input))).join(""));
  const got = await answers(socket, inputs.length);
  expect(got.map(({ body }) => (JSON.parse(body) as { msg: string }).msg)).toEqual(inputs);
});

test("B1: a head or a body that does not come is answered 408, and silence between requests is no fault", async () => {
  // Time goes on where the test says so and nowhere else: a machine that stands still is late for nothing.
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "performance"] });
  try {
    const limits = { headerTimeoutMs: 5000, bodyTimeoutMs: 5000, keepAliveMs: 5000 };
    await using door = await openTestDoor({ limits });
    const timePasses = async (): Promise<void> => {
      // A whole call: what was sent before it has been read by then.
      const socket = await dial(door);
      socket.write(plain(call("between")));
      await answers(socket, 1);
      socket.destroy();
      vi.advanceTimersByTime(6000);
    };
    const head = await dial(door);
    head.write("POST / HTTP/1.1\r\nHost: loc");
    const body = await dial(door);
    body.write(plain(call("x")).slice(0, -3));
    const refused = [answers(head), answers(body)];
    await timePasses();
    for (const got of refused) {
      const [answer] = await got;
      expect(answer?.status).toBe(408);
      expect(JSON.parse(answer?.body ?? "")).toMatchObject({ code: "REQUEST_TIMEOUT" });
    }
    const idle = await dial(door);
    idle.write(plain(call("x")));
    const silent = await dial(door);
    const quiet = [answers(idle), answers(silent)];
    await timePasses();
    expect((await Promise.all(quiet)).map(({ length }) => length)).toEqual([1, 0]);
    expect(door.counts()).toMatchObject({ timedOut: 2 });
    await expect.poll(() => door.counts().open).toBe(0);
  } finally {
    vi.useRealTimers();
  }
});

test("B3: a client that leaves cancels its call", async () => {
  await using door = await openTestDoor();
  door.executor.script = () => undefined;
  const socket = await dial(door);
  socket.write(plain(call("x")));
  await expect.poll(() => door.executor.calls.length).toBe(1);
  socket.destroy();
  await expect.poll(() => door.executor.calls[0]?.isCancelled).toBe(true);
  await expect.poll(() => door.counts().open).toBe(0);
});

test("B2: a client that does not read its answer is cut off", async () => {
  await using door = await openTestDoor({ limits: { writeTimeoutMs: 100 } });
  const large = Buffer.alloc(20 * 1024 * 1024, "<");
  door.executor.script = (one) => one.answer(large);
  const socket = await dial(door);
  socket.pause();
  socket.write(plain(call("x")));
  await expect.poll(() => door.executor.calls.length).toBe(1);
  await expect.poll(() => door.counts().open).toBe(0);
});

test("a slow reader gets all of a large answer, and its next request is served after that", async () => {
  await using door = await openTestDoor();
  door.executor.script = (one) =>
    one.answer(Buffer.alloc(Number(Buffer.from(one.request.body as Uint8Array).toString()), "é"));
  const socket = await dial(door);
  socket.write(plain(call("8000000")) + plain(call("10")));
  const got = await answers(socket, 2);
  expect(got.map(({ body }) => (JSON.parse(body) as { msg: string }).msg.length)).toEqual([4_000_000, 5]);
  expect(got.map(({ headers }) => headers["transfer-encoding"])).toEqual(["chunked", undefined]);
});

test("A11: surplus connections are closed, the one that was idle longest first", async () => {
  await using door = await openTestDoor({
    limits: { connections: 3, connectionsPerPeer: 100, closeGraceMs: 50 },
  });
  const [first, second, third] = [await dial(door), await dial(door), await dial(door)];
  for (const socket of [first, second, third]) {
    socket.write(plain(call("x")));
    await answers(socket, 1);
  }
  first.write(plain(call("again")));
  await answers(first, 1);
  const fourth = await dial(door);
  await once(second, "close");
  for (const socket of [first, third, fourth]) {
    socket.write(plain(call("x")));
    expect(await answers(socket, 1)).toHaveLength(1);
  }
  // With all of them busy there is no room for another.
  door.executor.script = () => undefined;
  for (const socket of [first, third, fourth]) socket.write(plain(call("x")));
  await expect.poll(() => door.executor.calls.length).toBe(10);
  const fifth = await dial(door);
  await once(fifth, "close");
  expect(door.counts()).toMatchObject({ refused: 1, open: 3 });
});

test("one address cannot take all connections", async () => {
  await using door = await openTestDoor({ limits: { connectionsPerPeer: 2, closeGraceMs: 50 } });
  door.executor.script = () => undefined;
  for (let index = 0; index < 2; index += 1) (await dial(door)).write(plain(call("x")));
  await expect.poll(() => door.executor.calls.length).toBe(2);
  await once(await dial(door), "close");
  expect(door.counts().refused).toBe(1);
});

test("a closing door lets answers under way finish and takes no further request", async () => {
  const door = await openTestDoor();
  door.executor.script = () => undefined;
  const idle = await dial(door);
  idle.write("");
  const busy = await dial(door);
  busy.write(plain(call("x")));
  await expect.poll(() => door.executor.calls.length).toBe(1);
  const got = answers(busy);
  const closing = door[Symbol.asyncDispose]();
  await once(idle, "close");
  door.executor.calls[0]?.answer("done");
  expect(
    (await got).map(({ headers, body }) => [headers["connection"], JSON.parse(body) as unknown]),
  ).toEqual([["close", { success: true, msg: "done" }]]);
  await closing;
});

test("with tokens every request takes the slow path", async () => {
  const { Secret } = await import("../../src/core/index.ts");
  await using door = await openTestDoor({
    tokens: [{ name: "a", token: new Secret("s3cret-token"), scopes: ["run"] }],
  });
  const socket = await dial(door);
  socket.write(plain(call("x")));
  expect((await answers(socket, 1))[0]?.status).toBe(401);
  expect(door.counts()).toMatchObject({ requests: 0 });
});

test("a connection from a task takes the slow path, which refuses it", async () => {
  await using door = await openTestDoor({ isTaskAddress: () => true });
  const socket = await dial(door);
  socket.write(plain(call("x")));
  expect((await answers(socket, 1))[0]?.status).toBe(403);
  expect(door.counts()).toMatchObject({ requests: 0 });
});
