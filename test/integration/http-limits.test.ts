import { expect, test } from "vitest";
import { TimerWheel } from "../../src/std/index.ts";
import { fakeSandbox } from "../support/fake-executor.ts";
import { openTestDoor } from "../support/open-test-door.ts";
import { poll } from "../support/poll.ts";
import { openRawConnection } from "../support/raw-connection.ts";

const MEBIBYTE = 1024 * 1024;

/** A request head; the slow path's `POST /` unless said otherwise. */
function head(target: string, ...lines: string[]): string {
  return [`POST ${target} HTTP/1.1`, "Host: 127.0.0.1", ...lines, "", ""].join("\r\n");
}

test("B4: a body that says it is too long is refused before it is read", async () => {
  await using door = await openTestDoor({ limits: { bodyBytes: MEBIBYTE } });
  for (const target of ["/", "/update-config", "/v1/images/prefetch"]) {
    await using client = await openRawConnection(door.port);
    client.write(head(target, "Content-Type: application/json", "Content-Length: 1073741824"));
    await client.match(/^HTTP\/1\.1 413 .*"code":"BODY_TOO_LARGE"/s);
    await client.closed();
  }
});

test("B4: a client that pours out an endless body gets 413, and what it poured was not taken", async () => {
  await using door = await openTestDoor({ limits: { bodyBytes: MEBIBYTE } });
  for (const target of ["/", "/v1/images/prefetch"]) {
    await using client = await openRawConnection(door.port);
    client.write(head(target, "Content-Type: application/json", "Transfer-Encoding: chunked"));
    const chunk = `10000\r\n${"x".repeat(65_536)}\r\n`;
    for (let i = 0; i < 64; i += 1) client.write(chunk);
    await client.match(/^HTTP\/1\.1 413 .*"code":"BODY_TOO_LARGE"/s);
    await client.closed();
  }
});

test("a long body that a route does not want is not read either", async () => {
  await using door = await openTestDoor();
  for (const framing of ["Content-Length: 1073741824", "Transfer-Encoding: chunked"]) {
    await using client = await openRawConnection(door.port);
    client.write(head("/v1/unpause", framing));
    const chunk = `10000\r\n${"x".repeat(65_536)}\r\n`;
    for (let i = 0; i < 16; i += 1) client.write(chunk);
    await client.match(/^HTTP\/1\.1 200 .*connection: close/is);
    await client.closed();
  }
  const small = await fetch(`${door.url}/v1/unpause`, { method: "POST", body: "{}" });
  expect(small.headers.get("connection")).toBe("keep-alive");
});

test("a task that answers before it has taken its input ends the connection with its answer", async () => {
  await using door = await openTestDoor();
  door.executor.script = (call) => {
    call.answer("early");
    call.cancel();
  };
  await using client = await openRawConnection(door.port);
  client.write(head("/v1/calls?image=a", "Content-Length: 1000000"));
  client.write("x".repeat(100_000));
  await client.match(/\r\n\r\nearly$/);
  await client.closed();
});

test("a client that waits to be asked for its body is asked, unless the body is refused", async () => {
  await using door = await openTestDoor({ limits: { bodyBytes: MEBIBYTE } });
  await using good = await openRawConnection(door.port);
  good.write(head("/v1/calls?image=a", "Content-Length: 2", "Expect: 100-continue"));
  await good.match(/^HTTP\/1\.1 100 Continue\r\n\r\n/);
  good.write("hi");
  await good.match(/HTTP\/1\.1 200 OK.*\r\n\r\nhi$/s);
  await using bad = await openRawConnection(door.port);
  bad.write(head("/", "Content-Type: application/json", "Content-Length: 9999999", "Expect: 100-continue"));
  await bad.match(/^HTTP\/1\.1 413 /);
  expect(bad.text).not.toContain("100 Continue");
  await using odd = await openRawConnection(door.port);
  odd.write(head("/v1/calls?image=a", "Content-Length: 2", "Expect: miracles"));
  odd.write("hi");
  await odd.match(/HTTP\/1\.1 200 OK/);
});

test("B1: heads and bodies that trickle are dropped with 408 and a body, and others are served meanwhile", async () => {
  await using door = await openTestDoor({ limits: { headerTimeoutMs: 500, bodyTimeoutMs: 500 } });
  await using slowHead = await openRawConnection(door.port);
  slowHead.write("POST /v1/calls?image=a HTTP/1.1\r\nHo");
  await using slowBody = await openRawConnection(door.port);
  slowBody.write(head("/", "Content-Type: text/plain", "Content-Length: 100"));
  slowBody.write("{");
  await using slowStream = await openRawConnection(door.port);
  slowStream.write(head("/v1/calls?image=a", "Transfer-Encoding: chunked"));
  slowStream.write("1\r\nx\r\n");
  expect((await fetch(`${door.url}/stats`)).status).toBe(200);
  for (const client of [slowBody, slowStream, slowHead]) {
    await client.match(/^HTTP\/1\.1 408 .*"code":"REQUEST_TIMEOUT"/s);
    await client.closed();
  }
});

test("a body that waits because the task does not read it is not taken for a slow one", async () => {
  // The wheel's own time: a machine that stands still while the body is on its way adds nothing to it.
  let nowMs = 0;
  const wheel = new TimerWheel(() => nowMs);
  await using door = await openTestDoor({ limits: { bodyTimeoutMs: 200 }, wheel });
  let resume: () => void = () => undefined;
  door.executor.script = (call) => {
    const { body } = call.request;
    if (body instanceof Uint8Array) throw new Error("expected a stream");
    let bytes = 0;
    resume = () => body.resume();
    body.start({
      onData: (chunk) => {
        if (bytes === 0) body.pause();
        bytes += chunk.length;
      },
      onEnd: () => call.answer(String(bytes)),
      onError: (error) => call.fail(error),
    });
  };
  const answer = fetch(`${door.url}/v1/calls?image=a`, { method: "POST", body: Buffer.alloc(4 * MEBIBYTE) });
  await expect.poll(() => door.executor.calls.length).toBe(1);
  await poll("three windows of the watch go by", () => {
    nowMs += 20;
    return nowMs > 700 || "not yet";
  });
  resume();
  expect(await (await answer).text()).toBe(String(4 * MEBIBYTE));
});

test("B2: a client that never reads its answer is cut off, its call ends, and no more than a little is held", async () => {
  await using door = await openTestDoor({ limits: { writeTimeoutMs: 500 } });
  door.executor.script = (call) => {
    call.place();
    call.head(200, { "content-type": "application/octet-stream" });
    const pour = (): void => {
      if (call.isCancelled) return;
      if (!call.isPaused) call.data(Buffer.alloc(256 * 1024));
      setImmediate(pour);
    };
    pour();
  };
  await using client = await openRawConnection(door.port);
  client.socket.pause();
  client.write(head("/v1/calls?image=a", "Content-Length: 0"));
  await poll("its call ends", () => door.executor.calls[0]?.isCancelled || "not yet");
  expect(door.executor.calls[0]?.pauses).toBeGreaterThan(0);
});

test("B2: an answer that comes after a wait is cut off as well when nobody reads it", async () => {
  await using door = await openTestDoor({ limits: { writeTimeoutMs: 200 } });
  // By then the connection's timer has run out more than once.
  door.executor.script = (call) => setTimeout(() => call.answer(Buffer.alloc(20 * MEBIBYTE)), 600);
  await using client = await openRawConnection(door.port);
  client.socket.pause();
  client.write(head("/v1/calls?image=a", "Content-Length: 0"));
  await poll("its call runs", () => door.executor.calls.length === 1 || "not yet");
  await poll("it is cut off", () => door.counts().open === 0 || "not yet");
});

test("a call that takes longer than the write timeout is not cut off while its client waits", async () => {
  await using door = await openTestDoor({ limits: { writeTimeoutMs: 200 } });
  door.executor.script = (call) => setTimeout(() => call.answer("slow"), 900);
  expect(await (await fetch(`${door.url}/v1/calls?image=a`, { method: "POST" })).text()).toBe("slow");
});

test("what is not HTTP gets an answer with a body, and the connection ends", async () => {
  await using door = await openTestDoor();
  for (const bytes of [
    "\x16\x03\x01\x02\x00",
    "GET / HTTP/9.9\r\n\r\n",
    "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n",
  ]) {
    await using client = await openRawConnection(door.port);
    client.write(Buffer.from(bytes, "latin1"));
    await client.match(/^HTTP\/1\.1 400 .*"code":"INPUT_INVALID"/s);
    await client.closed();
  }
  await using long = await openRawConnection(door.port);
  long.write(`GET /stats HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Long: ${"x".repeat(20_000)}\r\n\r\n`);
  await long.match(/^HTTP\/1\.1 400 .*head is too long/s);
  await using proxy = await openRawConnection(door.port);
  proxy.write("CONNECT evil:443 HTTP/1.1\r\nHost: evil\r\n\r\n");
  await proxy.match(/^HTTP\/1\.1 400 /);
});

test("requests without a Host, or with two, are refused; HTTP/1.0 needs none", async () => {
  await using door = await openTestDoor();
  const answer = async (text: string): Promise<string> => {
    await using client = await openRawConnection(door.port);
    client.write(text);
    return (await client.match(/^HTTP\/1\.1 (\d+)/))[1] ?? "";
  };
  expect(await answer("GET /stats HTTP/1.1\r\n\r\n")).toBe("400");
  expect(await answer("GET /stats HTTP/1.1\r\nHost: 127.0.0.1\r\nHost: evil\r\n\r\n")).toBe("400");
  expect(await answer("GET /stats HTTP/1.1\r\nHost:\r\n\r\n")).toBe("403");
  expect(await answer("GET /stats HTTP/1.0\r\n\r\n")).toBe("200");
});

test("connections above the limit are turned away and the others go on", async () => {
  await using door = await openTestDoor({ limits: { connections: 3, connectionsPerPeer: 3 } });
  const clients = await Promise.all(Array.from({ length: 3 }, () => openRawConnection(door.port)));
  for (const client of clients) {
    client.write(head("/v1/pause", "Content-Length: 5"));
    await expect.poll(() => door.counts().open).toBeGreaterThan(0);
  }
  await expect.poll(() => door.counts().open).toBe(3);
  await using surplus = await openRawConnection(door.port);
  surplus.write("GET /stats HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n");
  await expect.poll(() => surplus.isClosed || /^HTTP\/1\.1 (200|503)/.test(surplus.text)).toBe(true);
  for (const client of clients) await client[Symbol.asyncDispose]();
  await expect.poll(() => door.counts().open).toBeLessThan(3);
  expect((await fetch(`${door.url}/stats`)).status).toBe(200);
});

test("closing lets answers under way finish, ends streams, and closes idle connections", async () => {
  const door = await openTestDoor();
  door.executor.list = [fakeSandbox("a")];
  door.executor.script = () => undefined;
  await using idle = await openRawConnection(door.port);
  idle.write("GET /stats HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n");
  await idle.match(/200 OK/);
  await using unused = await openRawConnection(door.port);
  const log = await fetch(`${door.url}/v1/sandboxes/a/logs?follow=true`);
  const running = fetch(`${door.url}/v1/calls?image=a`, { method: "POST" });
  await expect.poll(() => door.executor.calls.length).toBe(1);
  const closed = door[Symbol.asyncDispose]();
  expect(await log.text()).toBe("first\n");
  await idle.closed();
  await unused.closed();
  await expect(fetch(`${door.url}/stats`)).rejects.toThrow();
  door.executor.calls[0]?.answer("finished");
  expect(await (await running).text()).toBe("finished");
  await closed;
  await door[Symbol.asyncDispose]();
});

test("closing cuts what has not finished after its grace", async () => {
  const door = await openTestDoor({ limits: { closeGraceMs: 200 } });
  door.executor.script = () => undefined;
  const running = fetch(`${door.url}/v1/calls?image=a`, { method: "POST" });
  await expect.poll(() => door.executor.calls.length).toBe(1);
  await Promise.all([expect(running).rejects.toThrow(), door[Symbol.asyncDispose]()]);
  await expect.poll(() => door.executor.calls[0]?.isCancelled).toBe(true);
});

test("a taken port, and an address that is not ours, stop the door from opening", async () => {
  await using door = await openTestDoor();
  await expect(openTestDoor({ port: door.port })).rejects.toMatchObject({
    code: "ADDRESS_IN_USE",
    facts: { port: door.port },
  });
  await expect(openTestDoor({ host: "192.0.2.1" })).rejects.toMatchObject({ code: "CONFIG_INVALID" });
});
