import { expect, test } from "vitest";
import type { TestExecutor } from "../../../test/support/test-executor.ts";
import { record, task, testExecutor } from "../../../test/support/test-executor.ts";
import type { ErrorCode, SessionId, TaskSpec } from "../../core/index.ts";
import { asId, MEBIBYTE } from "../../core/index.ts";
import type { SessionView } from "../executor.ts";

/** Long enough for a start on the fake driver. */
const A_MOMENT_MS = 5;
const SMALL = { cpuMillis: 1_000, memoryBytes: 256 * MEBIBYTE };

/** Opens a session and answers the call that opens it. */
async function open(
  { executor, channels, clock }: TestExecutor,
  spec: TaskSpec,
): Promise<SessionView & { readonly sessionId: SessionId }> {
  const call = record(executor, spec, { session: { type: "open" } });
  await clock.advance(A_MOMENT_MS);
  for (const one of [...channels.calls]) one.answer();
  const { session } = call;
  if (session?.sessionId === undefined) throw new Error(`no session: ${call.error?.message ?? "no answer"}`);
  return { ...session, sessionId: session.sessionId };
}

function join(parts: TestExecutor, sessionId: SessionId, spec = task("a")) {
  return record(parts.executor, spec, { session: { type: "join", sessionId } });
}

function refusal(act: () => unknown): ErrorCode | undefined {
  try {
    act();
    return undefined;
  } catch (error) {
    return (error as { readonly code: ErrorCode }).code;
  }
}

test("M22: calls of a session run on its sandbox, also where others serve the same task", async () => {
  const parts = await testExecutor({ slotsPerSandbox: 1 });
  const { sessionId, sandboxId } = await open(parts, task("a"));
  // Two plain calls: the second needs a sandbox of its own.
  const plain = [record(parts.executor, task("a")), record(parts.executor, task("a"))];
  await parts.clock.advance(A_MOMENT_MS);
  expect(new Set(plain.map((call) => call.placement?.sandboxId)).size).toBe(2);
  const bound = join(parts, sessionId);
  await parts.clock.advance(A_MOMENT_MS);
  // Its server is full; the other one frees a slot, and that is not for it.
  const other = parts.channels.calls.find((call) => call.sandboxId !== sandboxId);
  other?.answer();
  await parts.clock.advance(A_MOMENT_MS);
  expect(bound.placement).toBeUndefined();
  parts.channels.calls.find((call) => call.sandboxId === sandboxId)?.answer();
  await parts.clock.advance(A_MOMENT_MS);
  expect(bound.placement?.sandboxId).toBe(sandboxId);
  parts.channels.calls[0]?.answer();
  expect(bound.ends).toBe(1);
});

test("M22: neither need, idle time nor a new content takes a sandbox from its session; its end gives it free", async () => {
  const parts = await testExecutor({ ...SMALL, queueTimeoutMs: 10_000 });
  const { executor, clock, driver } = parts;
  const { sessionId, sandboxId } = await open(parts, task("a"));
  const other = record(executor, task("b"));
  await clock.advance(10_500);
  expect(other.error).toMatchObject({ code: "QUEUE_TIMEOUT" });
  await clock.advance(120_000);
  driver.digests.set("a", "sha256:new");
  const fetched = executor.prefetch("a", {}, new AbortController().signal);
  await clock.advance(A_MOMENT_MS);
  expect(await fetched).toMatchObject({ retired: 1 });
  expect(executor.sandboxes()).toMatchObject([{ sandboxId, tier: "hot", sessions: 1 }]);
  const bound = join(parts, sessionId);
  await parts.clock.advance(A_MOMENT_MS);
  expect(bound.placement?.sandboxId).toBe(sandboxId);
  parts.channels.calls[0]?.answer();
  await expect(executor.evict(sandboxId, { isForced: false })).rejects.toMatchObject({
    code: "SANDBOX_BUSY",
    facts: { reason: "sessions keep it", sessions: 1 },
  });
  // A caller without a session gets the new content, once there is room for it.
  const plain = record(executor, task("a"));
  await parts.clock.advance(A_MOMENT_MS);
  expect(plain.placement).toBeUndefined();
  executor.endSession(sessionId);
  await clock.advance(100);
  expect(plain.placement).toMatchObject({ imageDigest: "sha256:new" });
  expect(refusal(() => executor.session(sessionId))).toBe("SESSION_NOT_FOUND");
});

test("a session ends by its idle life, which each call extends, and by its longest life", async () => {
  const parts = await testExecutor({ sessionIdleMs: 10_000, sessionMaxMs: 35_000 });
  const { clock, executor, channels } = parts;
  const first = await open(parts, task("a"));
  await clock.advance(9_000);
  expect(executor.session(first.sessionId).expiresInMs).toBeLessThanOrEqual(1_000);
  join(parts, first.sessionId);
  await parts.clock.advance(A_MOMENT_MS);
  // While a call of it runs it does not fall idle.
  await clock.advance(15_000);
  channels.calls[0]?.answer();
  await clock.advance(9_900);
  expect(refusal(() => executor.session(first.sessionId))).toBeUndefined();
  await clock.advance(2_000);
  expect(refusal(() => executor.session(first.sessionId))).toBe("SESSION_NOT_FOUND");
  const late = join(parts, first.sessionId);
  await parts.clock.advance(A_MOMENT_MS);
  expect(late.error).toMatchObject({ code: "SESSION_NOT_FOUND" });
  // The sandbox itself was used a moment ago and is still there; then it goes as any other.
  await clock.advance(90_000);
  expect(executor.sandboxes()).toEqual([]);
});

test("a session whose server died says so to its waiting and its next callers, and never moves", async () => {
  const parts = await testExecutor({ slotsPerSandbox: 1 });
  const { sessionId } = await open(parts, task("a"));
  const running = join(parts, sessionId);
  const waiting = join(parts, sessionId);
  await parts.clock.advance(A_MOMENT_MS);
  [...parts.driver.live][0]?.die({ type: "exited", exitCode: 1 });
  await parts.clock.advance(A_MOMENT_MS);
  expect(waiting.error).toMatchObject({ code: "SESSION_ENDED" });
  const next = join(parts, sessionId);
  await parts.clock.advance(A_MOMENT_MS);
  expect(next.error).toMatchObject({ code: "SESSION_ENDED" });
  expect(running.placement).toBeDefined();
  // Its task itself goes on with a new server.
  const plain = record(parts.executor, task("a"));
  await parts.clock.advance(A_MOMENT_MS);
  expect(plain.placement?.start).toBe("cold");
});

test("a call whose session's server cannot be reached ends with it instead of going elsewhere", async () => {
  const parts = await testExecutor();
  const { sessionId, sandboxId } = await open(parts, task("a"));
  parts.channels.unreachable.add(sandboxId);
  const call = join(parts, sessionId);
  await parts.clock.advance(A_MOMENT_MS);
  expect(call.error).toMatchObject({ code: "SESSION_ENDED" });
  expect(parts.driver.started).toHaveLength(1);
});

test("a call that opens a session where the first sandbox proves dead has its session on the next one", async () => {
  const parts = await testExecutor();
  record(parts.executor, task("a"));
  await parts.clock.advance(A_MOMENT_MS);
  parts.channels.calls[0]?.answer();
  parts.channels.unreachable.add("s1");
  const call = record(parts.executor, task("a"), { session: { type: "open" } });
  await parts.clock.advance(A_MOMENT_MS);
  parts.channels.calls[0]?.answer();
  await parts.clock.advance(A_MOMENT_MS);
  expect(call.ends).toBe(1);
  expect(parts.executor.sessions()).toMatchObject([{ sandboxId: "s2", sessionId: call.session?.sessionId }]);
});

test("sessions are bounded, and those that never came to be count no more", async () => {
  const parts = await testExecutor({ sessionLimit: 1 });
  parts.driver.script("start", "reject");
  const failed = record(parts.executor, task("a"), { session: { type: "open" } });
  await parts.clock.advance(A_MOMENT_MS);
  expect(failed.error).toMatchObject({ code: "SANDBOX_START_FAILED" });
  const { sessionId } = await open(parts, task("b"));
  const second = record(parts.executor, task("c"), { session: { type: "open" } });
  await parts.clock.advance(A_MOMENT_MS);
  expect(second.error).toMatchObject({ code: "QUEUE_FULL" });
  parts.executor.endSession(sessionId);
  expect((await open(parts, task("c"))).sandboxId).toBe("s3");
});

test("holds count among the sessions, once for each task", async () => {
  const parts = await testExecutor({ sessionLimit: 1 });
  const hold = (name: string) => record(parts.executor, task(name), { session: { type: "hold" } });
  const answered = async (name: string) => {
    const call = hold(name);
    await parts.clock.advance(A_MOMENT_MS);
    parts.channels.calls[0]?.answer();
    return call;
  };
  expect((await answered("a")).error).toBeUndefined();
  expect((await answered("a")).error).toBeUndefined();
  expect((await answered("b")).error).toMatchObject({ code: "QUEUE_FULL" });
  expect(parts.executor.sessions()).toMatchObject([{ sessionId: undefined }]);
  // One that never got its slot leaves no trace.
  await parts.clock.advance(400_000);
  parts.driver.script("start", "reject");
  const failed = hold("c");
  await parts.clock.advance(A_MOMENT_MS);
  expect(failed.error).toMatchObject({ code: "SANDBOX_START_FAILED" });
  expect((await answered("d")).error).toBeUndefined();
});

test("a session that nobody has heard of does not stay open", async () => {
  const parts = await testExecutor();
  const call = record(parts.executor, task("a"), { session: { type: "open" }, onCancel: "close" });
  await parts.clock.advance(A_MOMENT_MS);
  expect(parts.executor.sessions()).toHaveLength(1);
  call.cancel();
  expect(parts.executor.sessions()).toEqual([]);
});

test("a session of one task is none of another, and unknown ids are told from ended ones", async () => {
  const parts = await testExecutor();
  const { sessionId } = await open(parts, task("a"));
  const wrong = join(parts, sessionId, task("b"));
  const unknown = join(parts, asId<"session">("nobody"));
  await parts.clock.advance(A_MOMENT_MS);
  expect(wrong.error).toMatchObject({ code: "INPUT_INVALID", facts: { field: "session" } });
  expect(unknown.error).toMatchObject({ code: "SESSION_NOT_FOUND" });
});

test("a pause ends sessions and their sandboxes", async () => {
  const parts = await testExecutor();
  const { sessionId } = await open(parts, task("a"));
  const paused = parts.executor.pause();
  await parts.clock.advance(A_MOMENT_MS);
  await paused;
  expect(parts.executor.sandboxes()).toEqual([]);
  parts.executor.unpause();
  expect(refusal(() => parts.executor.session(sessionId))).toBe("SESSION_ENDED");
});

test("M22: a hold keeps an SGX task's one server for its next callers, whatever else is wanted", async () => {
  const sgx = { ...task("a"), sgx: true };
  const parts = await testExecutor(
    { ...SMALL, slotsPerSandbox: 1, sandboxesPerTask: 4, sessionIdleMs: 20_000, queueTimeoutMs: 5_000 },
    { capabilities: { isolation: ["container", "sgx"] } },
  );
  const { executor, channels, clock, driver } = parts;
  const attest = record(executor, sgx, { session: { type: "hold" } });
  await parts.clock.advance(A_MOMENT_MS);
  channels.calls[0]?.answer();
  const { sandboxId } = attest.placement ?? {};
  const rival = record(executor, task("b"));
  await clock.advance(6_000);
  expect(rival.error).toMatchObject({ code: "QUEUE_TIMEOUT" });
  driver.digests.set("a", "sha256:new");
  const fetched = executor.prefetch("a", {}, new AbortController().signal);
  await clock.advance(A_MOMENT_MS);
  await fetched;
  const next = [record(executor, sgx), record(executor, sgx)];
  await parts.clock.advance(A_MOMENT_MS);
  expect(channels.calls).toHaveLength(1);
  channels.calls[0]?.answer();
  await parts.clock.advance(A_MOMENT_MS);
  channels.calls[0]?.answer();
  expect(next.map((call) => call.placement?.sandboxId)).toEqual([sandboxId, sandboxId]);
  expect(driver.started).toHaveLength(1);
  // Its time over it is like any other: the room goes to whoever asks.
  await clock.advance(21_000);
  const later = record(executor, task("b"));
  await clock.advance(1_000);
  expect(later.placement).toBeDefined();
  expect(executor.sessions()).toEqual([]);
});

test("M21: a task with SGX and GPUs, or in another class, is refused and books nothing", async () => {
  const parts = await testExecutor({}, { capabilities: { isolation: ["container", "sgx", "gvisor"] } });
  const { executor, driver } = parts;
  const plain = task("a");
  const both = record(executor, { ...plain, sgx: true, resources: { ...plain.resources, gpuCount: 1 } });
  const other = record(executor, { ...plain, sgx: true, isolation: "gvisor" });
  await parts.clock.advance(A_MOMENT_MS);
  expect([both.error, other.error]).toMatchObject([{ code: "SGX_UNAVAILABLE" }, { code: "SGX_UNAVAILABLE" }]);
  expect(executor.view().reserved.cpuMillis).toBe(0);
  expect(driver.resolved).toEqual([]);
});
