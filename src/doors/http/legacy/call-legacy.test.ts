import { expect, test } from "vitest";
import { FakeExecutor } from "../../../../test/support/fake-executor.ts";
import { ExecutorError } from "../../../core/index.ts";
import { type LegacyExchange, openLegacyCaller } from "./call-legacy.ts";
import type { LegacyAnswer } from "./legacy-answer.ts";

const MB = 1024 * 1024;

function setUp(limits: { readonly answer?: number; readonly all?: number } = {}) {
  const executor = new FakeExecutor();
  const refused: string[] = [];
  const legacy = openLegacyCaller({
    executor,
    onRefused: (code) => refused.push(code),
    answerLimitBytes: limits.answer ?? 16 * MB,
    answersLimitBytes: limits.all ?? 64 * MB,
  });
  const ask = (request: unknown): Promise<LegacyAnswer> & { exchange?: LegacyExchange } => {
    const body = Buffer.from(typeof request === "string" ? request : JSON.stringify(request));
    let exchange: LegacyExchange | undefined;
    const answer = new Promise<LegacyAnswer>((resolve) => {
      exchange = legacy.call(body, resolve);
    });
    return Object.assign(answer, exchange === undefined ? {} : { exchange });
  };
  return { executor, ask, refused };
}

function text({ body }: LegacyAnswer): string {
  if (typeof body === "string") return Buffer.from(body, "latin1").toString();
  return Buffer.isBuffer(body) ? body.toString() : Buffer.concat([...body]).toString();
}

function header(answer: LegacyAnswer, name: string): string | undefined {
  const at = answer.headers.indexOf(name);
  return at === -1 ? undefined : answer.headers[at + 1];
}

test("a 2xx is a success, any other status is not, and the body is the message in either case", async () => {
  const { executor, ask } = setUp();
  for (const [status, success] of [
    [200, true],
    [201, true],
    [204, true],
    [302, false],
    [404, false],
    [500, false],
  ] as const) {
    executor.script = (call) => call.answer("said so", status);
    const answer = await ask({ id: "a", input: "x" });
    expect([answer.status, JSON.parse(text(answer))]).toEqual([200, { success, msg: "said so" }]);
  }
});

test("an answer in many chunks, with and without a length, is put together", async () => {
  const { executor, ask } = setUp();
  for (const headers of [{}, { "content-length": String(3 * 40_000) }]) {
    executor.script = (call) => {
      call.place();
      call.head(200, headers);
      for (const part of ["a", "b", "ü"]) call.data(Buffer.alloc(40_000, part));
      call.end();
    };
    const answer = await ask({ id: "a" });
    expect(JSON.parse(text(answer))).toEqual({
      success: true,
      msg: "a".repeat(40_000) + "b".repeat(40_000) + "ü".repeat(20_000),
    });
    answer.release();
  }
});

test("M28: ten megabytes have the same bytes twice in a row", async () => {
  const { executor, ask } = setUp();
  const large = Buffer.alloc(10 * MB, 'äöü "<quoted>" & more\n');
  executor.script = (call) => call.answer(large);
  const first = text(await ask({ id: "a" }));
  const second = text(await ask({ id: "a" }));
  expect(first).toBe(second);
  expect((JSON.parse(first) as { msg: string }).msg).toBe(large.toString());
});

test("a refusal is a failure whose message is the error's, and its code is in a header", async () => {
  const { executor, ask } = setUp();
  executor.script = (call) =>
    call.fail(new ExecutorError("RESOURCES_EXCEED_LIMIT", { field: "resource.cpu", limit: 4 }));
  const answer = await ask({ id: "a" });
  expect(JSON.parse(text(answer))).toEqual({
    success: false,
    msg: "the request is above what this host gives to tasks (field resource.cpu; limit 4)",
  });
  expect(header(answer, "Hearth-Error")).toBe("RESOURCES_EXCEED_LIMIT");
});

test("what is no error of ours tells nothing about us", async () => {
  const { executor, ask } = setUp();
  executor.script = (call) => call.fail(new TypeError("secret path /x"));
  expect(text(await ask({ id: "a" }))).not.toContain("secret");
});

test("M8: a bad request is a 400 with a JSON string, and nothing is called", async () => {
  const { executor, ask } = setUp();
  expect(text(await ask("{"))).toBe('"Bad execution request"');
  const answer = await ask({ id: "a", resource: { mem: 1.5 } });
  expect(answer.status).toBe(400);
  expect(JSON.parse(text(answer))).toMatch(/^Bad execution request: resource\.mem must be /);
  expect(header(answer, "Content-Type")).toBe("application/json; charset=utf-8");
  expect(executor.calls).toEqual([]);
});

test("a runtime that no host has is a refusal, not a weaker sandbox", async () => {
  const { executor, ask } = setUp();
  expect(JSON.parse(text(await ask({ id: "a", runtime: "odd" })))).toMatchObject({ success: false });
  expect(executor.calls).toEqual([]);
});

test("D9: an answer above the limit is a failure, and its connection is closed", async () => {
  const { executor, ask } = setUp({ answer: MB });
  executor.script = (call) => {
    call.place();
    call.head(200, {});
    for (let sent = 0; sent < 100 && !call.isCancelled; sent += 1) call.data(Buffer.alloc(64 * 1024));
  };
  const endless = await ask({ id: "a" });
  expect(header(endless, "Hearth-Error")).toBe("ANSWER_TOO_LARGE");
  expect(executor.calls[0]).toMatchObject({ isCancelled: true, options: { onCancel: "close" } });
  executor.script = (call) => call.head(200, { "content-length": String(2 * MB) });
  expect(header(await ask({ id: "a" }), "Hearth-Error")).toBe("ANSWER_TOO_LARGE");
  expect(executor.calls[1]?.isCancelled).toBe(true);
});

test("large answers share a budget, which they give back when they are sent, fail or lose their caller", async () => {
  const { executor, ask } = setUp({ answer: MB, all: MB });
  executor.script = (call) => call.answer(Buffer.alloc(700_000, "x"));
  for (let round = 0; round < 3; round += 1) {
    const held = await ask({ id: "a" });
    expect(header(held, "Hearth-Error")).toBeUndefined();
    const refused = await ask({ id: "a" });
    expect(header(refused, "Hearth-Error")).toBe("ANSWER_TOO_LARGE");
    refused.release();
    held.release();
    held.release();
  }
  executor.script = (call) => {
    call.head(200, { "content-length": "700000" });
    call.fail(new ExecutorError("TASK_EXITED"));
  };
  for (let round = 0; round < 3; round += 1)
    expect(header(await ask({ id: "a" }), "Hearth-Error")).toBe("TASK_EXITED");
  executor.script = (call) => call.head(200, { "content-length": "700000" });
  const left = ask({ id: "a" });
  await expect.poll(() => executor.calls.length).toBe(10);
  await new Promise((resolve) => setImmediate(resolve));
  left.exchange?.cancel();
  expect(executor.calls[9]).toMatchObject({ isCancelled: true, options: { door: "http" } });
  executor.script = (call) => call.answer(Buffer.alloc(700_000, "x"));
  expect(header(await ask({ id: "a" }), "Hearth-Error")).toBeUndefined();
});

test("an SGX task gets its input on /run, and the attestation request as a GET on /ra", async () => {
  const { executor, ask } = setUp();
  await ask({ id: "a", use_sgx: true, input: "x" });
  executor.script = (call) => call.answer("evidence");
  await ask({ id: "a", useSgx: true, input: "SGXRAREQUEST" });
  await ask({ id: "a", input: "SGXRAREQUEST" });
  expect(executor.calls.map(({ request }) => `${request.method} ${request.path}`)).toEqual([
    "POST /run",
    "GET /ra",
    "POST /",
  ]);
});

test("a large input reaches the task whole, and one whose caller left while it was read reaches nobody", async () => {
  const { executor, ask } = setUp();
  const input = JSON.stringify(Array.from({ length: 40_000 }, (_, index) => ({ index, name: "ü\n😀" })));
  const answer = await ask({ id: "a", input });
  expect((JSON.parse(text(answer)) as { msg: string }).msg).toBe(input);
  const left = ask({ id: "a", input });
  left.exchange?.cancel();
  await ask({ id: "a", input });
  expect(executor.calls).toHaveLength(2);
});

test("what never becomes a call is counted by its code, and what does is not", async () => {
  const { ask, refused } = setUp();
  await ask("no json");
  await ask({ input: "no id" });
  await ask({ id: "echo", input: "x" });
  expect(refused).toEqual(["INPUT_INVALID", "INPUT_INVALID"]);
});
