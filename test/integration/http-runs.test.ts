import { expect, test } from "vitest";
import { ExecutorError } from "../../src/core/index.ts";
import type { FakeCall } from "../support/fake-executor.ts";
import type { TestDoor } from "../support/open-test-door.ts";
import { openTestDoor } from "../support/open-test-door.ts";

interface Run {
  readonly id: string;
  readonly state: string;
  readonly [member: string]: unknown;
}

function call(
  door: TestDoor,
  headers: Record<string, string> = {},
  body = "in",
  query = "image=a:1",
): Promise<Response> {
  return fetch(`${door.url}/v1/calls?${query}`, {
    method: "POST",
    headers: { "content-type": "text/x", ...headers },
    body,
  });
}

async function runOf(door: TestDoor, id: string): Promise<Run> {
  return (await (await fetch(`${door.url}/v1/runs/${id}`)).json()) as Run;
}

/** Holds every call until the test answers it. */
function hold(door: TestDoor): FakeCall[] {
  door.executor.script = () => undefined;
  return door.executor.calls;
}

test("an asynchronous call answers 202 at once, shows its progress, and keeps its answer", async () => {
  await using door = await openTestDoor();
  const calls = hold(door);
  const accepted = await call(door, { prefer: "respond-async" });
  expect(accepted.status).toBe(202);
  const { id } = (await accepted.json()) as Run;
  expect(accepted.headers.get("location")).toBe(`/v1/runs/${id}`);
  expect(accepted.headers.get("hearth-run-id")).toBe(id);
  const early = await fetch(`${door.url}/v1/runs/${id}/answer`);
  expect([early.status, early.headers.get("hearth-error")]).toEqual([409, "RUN_RUNNING"]);
  calls[0]?.sink.onProgress?.({ type: "pulling", progress: { image: "a:1", doneBytes: 1, totalBytes: 2 } });
  expect(await runOf(door, id)).toMatchObject({
    state: "running",
    progress: { type: "pulling", doneBytes: 1 },
  });
  calls[0]?.answer("out", 201, "text/y");
  await expect.poll(async () => (await runOf(door, id)).state).toBe("answered");
  expect(await runOf(door, id)).toMatchObject({
    image: "a:1",
    answer: { status: 201, isSuccess: true, contentType: "text/y", bytes: 3, isKept: true },
    placement: { sandboxId: "s1", start: "warm" },
  });
  const answer = await fetch(`${door.url}/v1/runs/${id}/answer`);
  expect([answer.status, answer.headers.get("content-type"), await answer.text()]).toEqual([
    201,
    "text/y",
    "out",
  ]);
  expect(answer.headers.get("hearth-outcome")).toBe("success");
  expect(answer.headers.get("hearth-run-id")).toBe(id);
});

test("a run can be started from one JSON body, and its input is text or JSON", async () => {
  await using door = await openTestDoor();
  const start = (input: unknown): Promise<Response> =>
    fetch(`${door.url}/v1/runs`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ image: "a:1", cpu: 0.5, input }),
    });
  for (const [input, sent] of [
    ["plain", "plain"],
    [{ a: 1 }, '{"a":1}'],
    [undefined, ""],
  ] as const) {
    expect((await start(input)).status).toBe(202);
    const request = door.executor.calls.at(-1)?.request;
    expect([Buffer.from(request?.body as Uint8Array).toString(), request?.contentType]).toEqual([
      sent,
      "application/json",
    ]);
  }
  expect(((await (await fetch(`${door.url}/v1/runs`)).json()) as { runs: Run[] }).runs).toHaveLength(3);
});

test("a follower sees each change and the end, as lines or as server-sent events", async () => {
  await using door = await openTestDoor();
  const calls = hold(door);
  const { id } = (await (await call(door, { prefer: "respond-async" })).json()) as Run;
  const lines = fetch(`${door.url}/v1/runs/${id}/events`);
  const events = await fetch(`${door.url}/v1/runs/${id}/events`, {
    headers: { accept: "text/event-stream" },
  });
  const text = (await lines).text();
  calls[0]?.sink.onProgress?.({ type: "starting" });
  await new Promise((resolve) => setImmediate(resolve));
  calls[0]?.answer("out");
  const states = (await text)
    .trim()
    .split("\n")
    .map((line) => (JSON.parse(line) as Run).state);
  expect(states.at(0)).toBe("running");
  expect(states.at(-1)).toBe("answered");
  expect(await events.text()).toMatch(/data: .*"state":"answered".*\n\n$/);
  expect((await fetch(`${door.url}/v1/runs/nobody/events`)).status).toBe(404);
});

test("a run that fails shows its problem, and its answer is that problem", async () => {
  await using door = await openTestDoor();
  door.executor.script = (fake) => {
    fake.place();
    fake.fail(new ExecutorError("TASK_OUT_OF_MEMORY", { limitBytes: 5 }));
  };
  const { id } = (await (await call(door, { prefer: "respond-async" })).json()) as Run;
  await expect.poll(async () => (await runOf(door, id)).state).toBe("failed");
  expect(await runOf(door, id)).toMatchObject({
    problem: { code: "TASK_OUT_OF_MEMORY", facts: { limitBytes: 5 } },
  });
  const answer = await fetch(`${door.url}/v1/runs/${id}/answer`);
  expect([answer.status, ((await answer.json()) as { code: string }).code]).toEqual([
    502,
    "TASK_OUT_OF_MEMORY",
  ]);
});

test("cancelling ends a run once, and afterwards shows how it ended", async () => {
  await using door = await openTestDoor();
  const calls = hold(door);
  const { id } = (await (await call(door, { prefer: "respond-async" })).json()) as Run;
  const cancel = async (): Promise<Run> =>
    (await (await fetch(`${door.url}/v1/runs/${id}`, { method: "DELETE" })).json()) as Run;
  expect(await cancel()).toMatchObject({ state: "cancelled", problem: { code: "CALL_CANCELLED" } });
  expect(calls[0]?.isCancelled).toBe(true);
  expect((await cancel()).state).toBe("cancelled");
  expect((await fetch(`${door.url}/v1/runs/nobody`, { method: "DELETE" })).status).toBe(404);
});

test("an idempotency key answers a repeated call from the record, without another call", async () => {
  await using door = await openTestDoor();
  door.executor.script = (fake) => fake.answer("once", 203, "text/z");
  const key = { "idempotency-key": "k-1" };
  const first = await call(door, key);
  expect([first.status, await first.text(), first.headers.has("idempotency-replayed")]).toEqual([
    203,
    "once",
    false,
  ]);
  const again = await call(door, key);
  expect([again.status, await again.text()]).toEqual([203, "once"]);
  expect(again.headers.get("idempotency-replayed")).toBe("true");
  expect(again.headers.get("hearth-run-id")).toBe(first.headers.get("hearth-run-id"));
  expect(again.headers.get("content-type")).toBe("text/z");
  expect(door.executor.calls).toHaveLength(1);
});

test("a key is 409 while its call runs, and for another request", async () => {
  await using door = await openTestDoor();
  const calls = hold(door);
  const key = { "idempotency-key": "k" };
  const first = call(door, key);
  await expect.poll(() => calls.length).toBe(1);
  const codes = async (answer: Promise<Response>): Promise<unknown[]> => {
    const { status, headers } = await answer;
    return [status, headers.get("hearth-error")];
  };
  expect(await codes(call(door, key))).toEqual([409, "IDEMPOTENCY_RUNNING"]);
  expect(await codes(call(door, key, "other input"))).toEqual([409, "IDEMPOTENCY_MISMATCH"]);
  expect(await codes(call(door, key, "in", "image=a:2"))).toEqual([409, "IDEMPOTENCY_MISMATCH"]);
  expect((await call(door, { ...key, prefer: "respond-async" })).status).toBe(202);
  calls[0]?.answer("done");
  expect(await (await first).text()).toBe("done");
  expect(calls).toHaveLength(1);
});

test("twenty callers with one key make one call", async () => {
  await using door = await openTestDoor();
  const answers = await Promise.all(Array.from({ length: 20 }, () => call(door, { "idempotency-key": "k" })));
  expect(door.executor.calls).toHaveLength(1);
  expect(answers.every(({ status }) => status === 200 || status === 409)).toBe(true);
});

test("a refusal that may pass frees the key; a call that reached the task keeps it", async () => {
  await using door = await openTestDoor();
  const key = { "idempotency-key": "k" };
  door.executor.script = (fake) => fake.fail(new ExecutorError("QUEUE_TIMEOUT"));
  expect((await call(door, key)).status).toBe(503);
  door.executor.script = (fake) => {
    fake.place();
    fake.fail(new ExecutorError("TASK_EXITED"));
  };
  expect((await call(door, key)).status).toBe(502);
  const again = await call(door, key);
  expect([again.status, again.headers.get("idempotency-replayed")]).toEqual([502, "true"]);
  expect(((await again.json()) as { requestId: string }).requestId).toBe(again.headers.get("hearth-run-id"));
  expect(door.executor.calls).toHaveLength(2);
});

test("a caller with a key that leaves does not stop its call, and finds the answer on its next try", async () => {
  await using door = await openTestDoor();
  const calls = hold(door);
  const gone = new AbortController();
  const first = fetch(`${door.url}/v1/calls?image=a:1`, {
    method: "POST",
    headers: { "idempotency-key": "k", "content-type": "text/x" },
    body: "in",
    signal: gone.signal,
  });
  await expect.poll(() => calls.length).toBe(1);
  gone.abort();
  await expect(first).rejects.toThrow();
  await expect.poll(() => door.counts().open, { message: "the door has seen it leave" }).toBe(0);
  expect((await call(door, { "idempotency-key": "k" })).status).toBe(409);
  expect(calls[0]?.isCancelled).toBe(false);
  calls[0]?.answer("late");
  await expect.poll(async () => (await call(door, { "idempotency-key": "k" })).text()).toBe("late");
});

test("an answer above the record's limit reaches its caller and is not kept", async () => {
  await using door = await openTestDoor({ limits: { recordBytes: 10 } });
  door.executor.script = (fake) => fake.answer("x".repeat(11));
  const first = await call(door, { "idempotency-key": "k" });
  expect((await first.text()).length).toBe(11);
  const again = await call(door, { "idempotency-key": "k" });
  expect([again.status, again.headers.get("hearth-error")]).toEqual([404, "ANSWER_NOT_KEPT"]);
});

test("recorded calls are bounded in number and in memory", async () => {
  await using door = await openTestDoor({ limits: { activeRuns: 2, heldBytes: 1500 } });
  hold(door);
  expect((await call(door, { prefer: "respond-async" }, "x".repeat(600))).status).toBe(202);
  const big = await call(door, { prefer: "respond-async" }, "x".repeat(600));
  expect([big.status, big.headers.get("hearth-error")]).toEqual([503, "QUEUE_FULL"]);
  expect((await call(door, { prefer: "respond-async" })).status).toBe(202);
  expect((await call(door, { prefer: "respond-async" })).status).toBe(503);
});

test.each(["", "two words", "k".repeat(256)])("the idempotency key %j is refused", async (key) => {
  await using door = await openTestDoor();
  const answer = await call(door, { "idempotency-key": key });
  expect([answer.status, answer.headers.get("hearth-error")]).toEqual([400, "INPUT_INVALID"]);
});
