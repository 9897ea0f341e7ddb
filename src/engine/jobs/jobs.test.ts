import { expect, test } from "vitest";
import { ORDER, jobRequest as request } from "../../../test/support/job-order.ts";
import { JobStories } from "../../../test/support/job-player.ts";
import { live, NEVER, passing, run, watch } from "../../../test/support/running-jobs.ts";
import { task, testExecutor } from "../../../test/support/test-executor.ts";
import { settle } from "../../../test/support/virtual-clock.ts";
import type { AttemptRecord, SandboxEnd } from "../../core/index.ts";
import { asId, NO_OBSERVER, NO_RESOURCES } from "../../core/index.ts";
import type { RunningJob } from "./jobs.ts";
import { recordJobs } from "./record-jobs.ts";

test("a job holds its room from its reservation to its settlement", async () => {
  const parts = await testExecutor({}, { startMs: 30, stopMs: 20 });
  const { executor, driver, clock } = parts;
  const room = await executor.jobs.reserve(request("a"), NEVER);
  expect(executor.view().reservedByDoor.stream.cpuMillis).toBe(1000);
  const starting = room.start(ORDER, NEVER);
  await settle();
  expect(executor.jobs.list()).toMatchObject([{ state: "starting", mark: { jobId: "a" } }]);
  await clock.advance(30);
  const job = await starting;
  expect(driver.startedJobs).toMatchObject([{ mark: { jobId: "a", attempt: 1 }, command: ["true"] }]);
  live(parts, "a").die({ type: "exited", exitCode: 3 });
  expect(await job.ending).toMatchObject({ cause: "exit", exitCode: 3 });
  expect(executor.jobs.list()).toMatchObject([{ state: "settling" }]);
  expect(executor.view().reserved.cpuMillis).toBe(1000);
  const settling = job.settle(0);
  await clock.advance(20);
  await settling;
  expect(driver.liveJobs.size).toBe(0);
  expect(executor.view().reserved).toEqual(NO_RESOURCES);
  expect(executor.jobs.list()).toEqual([]);
});

/** The job's own doing, and how each is told. */
const OWN_ENDS: readonly [SandboxEnd, object][] = [
  [
    { type: "exited", exitCode: 0 },
    { cause: "exit", exitCode: 0 },
  ],
  [
    { type: "signalled", signal: "SIGSEGV" },
    { cause: "signal", signal: "SIGSEGV" },
  ],
  [
    { type: "memory", limitBytes: 5 },
    { cause: "memory", limitBytes: 5 },
  ],
];

test.each<[SandboxEnd, object]>([
  ...OWN_ENDS,
  [{ type: "lost" }, { cause: "infrastructure" }],
  [{ type: "stopped" }, { cause: "infrastructure" }],
])("an end of %o is told as %o, with the last figures and how long it ran", async (end, told) => {
  const parts = await testExecutor();
  const job = await run(parts, "a");
  const usage = { cpuMs: 12, memoryBytes: 1, memoryPeakBytes: 99 };
  live(parts, "a").figures = usage;
  await job.usage(NEVER);
  await parts.clock.advance(1_000);
  live(parts, "a").die(end);
  expect(await job.ending).toMatchObject({ ...told, usage, ranMs: 1_100 });
});

test("a deadline counts from the start; what is ended by it says so, whatever its code answers to the signal", async () => {
  const parts = await testExecutor({}, { stopMs: 20 });
  const job = await run(parts, "a", 1, 5_000);
  const seen = watch(job.ending);
  await parts.clock.advance(4_890);
  expect(seen.value).toBeUndefined();
  await parts.clock.advance(20);
  live(parts, "a").die({ type: "exited", exitCode: 0 });
  await settle();
  expect(seen.value).toMatchObject({ cause: "time", limitMs: 5_000 });
});

test("the first cause counts, a later stop only hastens, and after the end neither does anything", async () => {
  const parts = await testExecutor({}, { stopMs: 20 });
  const job = await run(parts, "a");
  job.stop("killed", 10_000);
  job.stop("lease", 0);
  expect(parts.executor.jobs.list()).toMatchObject([{ state: "stopping" }]);
  await parts.clock.advance(20);
  expect(await job.ending).toMatchObject({ cause: "stopped", by: "killed" });
  job.stop("drain", 0);
  expect(parts.executor.jobs.list()).toMatchObject([{ state: "settling" }]);
});

test.each<[SandboxEnd, object]>([
  ...OWN_ENDS,
  // Nobody knows how it ended, only that it was to be stopped.
  [{ type: "lost" }, { cause: "stopped", by: "drain" }],
])("an end of %o that a stop comes too late for is told as %o", async (end, told) => {
  const parts = await testExecutor({}, { stopMs: 20 });
  const job = await run(parts, "a", 1, 5_000);
  const seen = watch(job.ending);
  const tell = live(parts, "a").dieUntold(end);
  job.stop("drain", 10_000);
  await parts.clock.advance(10_000);
  expect(seen.value).toBeUndefined();
  tell();
  await settle();
  expect(seen.value).toMatchObject(told);
});

test("a job that none of our requests has reached ended by itself", async () => {
  const parts = await testExecutor();
  const job = await run(parts, "a");
  parts.driver.script("end", "reject");
  job.stop("drain", 0);
  await parts.clock.advance(1);
  live(parts, "a").die({ type: "exited", exitCode: 0 });
  expect(await job.ending).toMatchObject({ cause: "exit", exitCode: 0 });
});

test("a job whose engine will not end it is asked until it does", async () => {
  const parts = await testExecutor();
  const job = await run(parts, "a");
  parts.driver.script("end", "reject", "reject", "reject");
  job.stop("killed", 0);
  const seen = watch(job.ending);
  await settle();
  expect(seen.value).toBeUndefined();
  await parts.clock.advance(10_000);
  expect(seen.value).toMatchObject({ cause: "stopped", by: "killed" });
});

test("a request to end that fails costs a job nothing of its grace, unless a later one is in a hurry", async () => {
  const parts = await testExecutor();
  const job = await run(parts, "a");
  const { graces } = live(parts, "a");
  parts.driver.script("end", "reject", "reject", "reject");
  const askedAtMs = parts.clock.nowMs();
  job.stop("killed", 10_000);
  await parts.clock.advance(1);
  expect(graces).toEqual([10_000]);
  while (graces.length === 1) await parts.clock.advance(1);
  expect(graces[1]).toBe(10_000 - (parts.clock.nowMs() - askedAtMs));
  job.stop("lease", 0);
  expect(graces.slice(2)).toEqual([0]);
  await parts.clock.advance(10_000);
  expect(await job.ending).toMatchObject({ cause: "stopped", by: "killed" });
});

test("a request to end that fails until the grace is over kills", async () => {
  const parts = await testExecutor();
  const job = await run(parts, "a");
  const { graces } = live(parts, "a");
  parts.driver.script("end", "reject");
  job.stop("killed", 10);
  await parts.clock.advance(10_000);
  expect(await job.ending).toMatchObject({ cause: "stopped" });
  expect(graces).toEqual([10, 0]);
});

test("a removal that fails keeps nobody, and the room comes back only when it has worked", async () => {
  const parts = await testExecutor({}, { stopMs: 10 });
  const job = await run(parts, "a");
  live(parts, "a").die({ type: "exited", exitCode: 0 });
  await job.ending;
  parts.driver.script("removeJob", "reject", "reject");
  const settled = watch(job.settle(0).then(() => "settled"));
  await parts.clock.advance(10);
  expect(settled.value).toBe("settled");
  expect(parts.executor.jobs.list()).toMatchObject([{ state: "removing" }]);
  expect(parts.executor.view().reserved.cpuMillis).toBe(1000);
  await parts.clock.advance(5_000);
  expect(parts.executor.view().reserved).toEqual(NO_RESOURCES);
});

test("a start that fails, or that nobody wants any more, leaves nothing and gives its room back", async () => {
  const stories = new JobStories();
  const parts = await testExecutor({}, { startMs: 50 }, undefined, stories.observer);
  const { executor, driver, clock } = parts;
  driver.script("startJob", "reject");
  const first = await executor.jobs.reserve(request("a"), NEVER);
  const failed = watch(first.start(ORDER, NEVER));
  await clock.advance(60);
  expect(failed.error?.code).toBe("SANDBOX_START_FAILED");
  const second = await executor.jobs.reserve(request("b"), NEVER);
  const gone = new AbortController();
  const aborted = watch(second.start(ORDER, gone.signal));
  await clock.advance(10);
  gone.abort(new Error("away"));
  await settle();
  expect(aborted.error?.message).toBe("away");
  expect(driver.liveJobs.size).toBe(0);
  expect(executor.view().reserved).toEqual(NO_RESOURCES);
  expect([...stories.overs.values()]).toEqual([1, 1]);
});

test("a paused executor starts no job, refuses those that wait, and lets those that run go on", async () => {
  const parts = await testExecutor({ cpuMillis: 3_000, pauseWaitMs: 100 }, { startMs: 1_000 });
  const { executor, clock, driver } = parts;
  const starting = (await executor.jobs.reserve(request("runs"), NEVER)).start(ORDER, NEVER);
  await clock.advance(1_000);
  const job = await starting;
  const reserved = await executor.jobs.reserve(request("reserved"), NEVER);
  const second = watch((await executor.jobs.reserve(request("starts"), NEVER)).start(ORDER, NEVER));
  const waiting = watch(executor.jobs.reserve(request("waits"), NEVER));
  await settle();
  const paused = watch(executor.pause());
  await clock.advance(100);
  expect(paused.value).toEqual({ running: 1 });
  expect([second.error?.code, waiting.error?.code]).toEqual(["PAUSED", "PAUSED"]);
  await expect(reserved.start(ORDER, NEVER)).rejects.toMatchObject({ code: "PAUSED" });
  await expect(executor.jobs.reserve(request("new"), NEVER)).rejects.toMatchObject({ code: "PAUSED" });
  expect(executor.jobs.hasRoomFor(task("job"), "stream")).toBe(false);
  expect([...driver.liveJobs].map(({ mark }) => mark.jobId)).toEqual(["runs"]);
  expect(executor.view()).toMatchObject({ state: "pausing", reserved: { cpuMillis: 1_000 } });
  live(parts, "runs").die({ type: "exited", exitCode: 0 });
  expect(await job.ending).toMatchObject({ cause: "exit" });
});

test("at the end jobs may end by themselves until the deadline; then they are stopped, and settled by their door", async () => {
  const parts = await testExecutor({}, { stopMs: 20 });
  const { executor, clock, driver } = parts;
  const [quick, slow] = [await run(parts, "quick"), await run(parts, "slow")];
  for (const job of [quick, slow]) watch(job.ending.then(() => job.settle(0)));
  const drained = watch(executor.drain({ deadlineMs: 5_000, keepWarm: false }));
  await clock.advance(1_000);
  live(parts, "quick").die({ type: "exited", exitCode: 0 });
  await clock.advance(3_000);
  expect(executor.jobs.list()).toMatchObject([{ mark: { jobId: "slow" }, state: "running" }]);
  await clock.advance(2_000);
  expect(drained.value).toEqual({ cut: 1 });
  expect(await slow.ending).toMatchObject({ cause: "stopped", by: "drain" });
  expect(await quick.ending).toMatchObject({ cause: "exit" });
  expect(driver.liveJobs.size).toBe(0);
  expect(executor.view().reserved).toEqual(NO_RESOURCES);
});

test("what an earlier life left is booked before anything else runs, and is taken over with its own deadline, or ended", async () => {
  const first = await testExecutor();
  await run(first, "a", 2);
  await run(first, "b", 1);
  const second = await testExecutor({}, {}, (driver) => first.driver.leaveJobsTo(driver));
  const { executor, clock, driver } = second;
  expect(executor.view().reservedByDoor.stream.cpuMillis).toBe(3_000);
  expect(executor.jobs.hasRoomFor(task("job", 2), "stream")).toBe(false);
  expect(executor.jobs.leftovers().map(({ mark }) => mark.jobId)).toEqual(["a", "b"]);
  const [a, b] = executor.jobs.leftovers();
  const adopting = a?.adopt("stream", { deadlineMs: 5_000 }, NEVER);
  await settle();
  await clock.advance(1);
  const job = await adopting;
  expect(executor.jobs.leftovers()).toHaveLength(1);
  await clock.advance(6_000);
  expect(await job?.ending).toMatchObject({ cause: "time" });
  await passing(second, Promise.all([job?.settle(0), b?.reap()]));
  await expect(b?.adopt("stream", { deadlineMs: undefined }, NEVER)).rejects.toMatchObject({
    code: "SANDBOX_LOST",
  });
  expect(driver.liveJobs.size).toBe(0);
  expect(executor.view().reserved).toEqual(NO_RESOURCES);
});

test.each([
  ["drain", { type: "exited", exitCode: 143 }, { cause: "stopped", by: "drain" }],
  ["killed", { type: "signalled", signal: "SIGKILL" }, { cause: "stopped", by: "killed" }],
  ["time", { type: "signalled", signal: "SIGTERM" }, { cause: "time", limitMs: 5_000 }],
  ["drain", { type: "memory", limitBytes: 7 }, { cause: "memory", limitBytes: 7 }],
  [undefined, { type: "signalled", signal: "SIGTERM" }, { cause: "signal", signal: "SIGTERM" }],
] as const)(
  "I12: what an earlier life had asked to end (%s) ended for that reason, however it is seen to have ended: %j",
  async (stoppedBy, end, ending) => {
    const first = await testExecutor();
    await run(first, "a");
    live(first, "a").die(end);
    const second = await testExecutor({}, {}, (driver) => first.driver.leaveJobsTo(driver));
    const [leftover] = second.executor.jobs.leftovers();
    const job = await passing(second, leftover!.adopt("stream", { deadlineMs: 5_000, stoppedBy }, NEVER));
    expect(await job.ending).toMatchObject(ending);
  },
);

test("why a job is ended is told before it is, and waited for a moment only", async () => {
  const parts = await testExecutor({}, { stopMs: 20 });
  const [quick, slow] = [await run(parts, "quick"), await run(parts, "slow")];
  const told: string[] = [];
  let noted: () => void = () => undefined;
  quick.onStop = (by) => {
    told.push(`quick ${by}`);
    return new Promise((resolve) => {
      noted = resolve;
    });
  };
  slow.onStop = (by) => {
    told.push(`slow ${by}`);
    return new Promise(() => undefined);
  };
  quick.stop("killed", 0);
  quick.stop("drain", 0);
  slow.stop("drain", 0);
  await parts.clock.advance(500);
  expect([live(parts, "quick").graces, live(parts, "slow").graces]).toEqual([[], []]);
  noted();
  await parts.clock.advance(100);
  expect(await quick.ending).toMatchObject({ cause: "stopped", by: "killed" });
  expect(live(parts, "slow").graces).toEqual([]);
  await parts.clock.advance(500);
  expect(await slow.ending).toMatchObject({ cause: "stopped", by: "drain" });
  expect(told).toEqual(["quick killed", "slow drain"]);
});

test("a leftover whose engine will not give it over stays for a further try", async () => {
  const first = await testExecutor();
  await run(first, "a");
  const second = await testExecutor({}, {}, (driver) => first.driver.leaveJobsTo(driver));
  const { executor, clock, driver } = second;
  driver.script("startJob", "reject");
  const [leftover] = executor.jobs.leftovers();
  const adopt = async (): Promise<RunningJob | undefined> =>
    await leftover?.adopt("stream", { deadlineMs: undefined }, NEVER);
  const failed = watch(adopt());
  await clock.advance(1);
  expect(failed.error).toBeDefined();
  expect(executor.jobs.leftovers()).toHaveLength(1);
  const adopting = watch(adopt());
  await clock.advance(1);
  expect(adopting.value).toBeDefined();
});

test("its output can be read by its sandbox's id and by its own, also after its end; forced out, it is killed", async () => {
  const parts = await testExecutor();
  const { executor, clock } = parts;
  const job = await run(parts, "a.1");
  live(parts, "a.1").say("hello\n");
  const named = asId<"sandbox">("a.1");
  const { sandboxId } = job;
  const tail = { text: "hello\n", isTruncated: false, sandboxId, hasEnded: false };
  expect(await executor.tailLog(job.sandboxId, 100, NEVER)).toEqual(tail);
  expect(await executor.tailLog(named, 100, NEVER)).toEqual(tail);
  expect(await executor.usage(job.sandboxId, NEVER)).toMatchObject({ cpuMs: 0 });
  await expect(executor.evict(job.sandboxId, { isForced: false })).rejects.toMatchObject({
    code: "SANDBOX_BUSY",
    facts: { reason: "it runs a job, which is ended by force only" },
  });
  const evicted = executor.evict(job.sandboxId, { isForced: true });
  await clock.advance(10);
  expect(await job.ending).toMatchObject({ cause: "stopped", by: "killed" });
  await passing(parts, job.settle(0));
  await evicted;
  expect(await executor.tailLog(job.sandboxId, 100, NEVER)).toEqual({ ...tail, hasEnded: true });
  expect(await executor.tailLog(named, 100, NEVER)).toEqual({ ...tail, hasEnded: true });
  expect(await executor.tailLog(request("a.1").task.image, 100, NEVER)).toEqual({ ...tail, hasEnded: true });
  await expect(executor.tailLog(asId<"sandbox">("other"), 1, NEVER)).rejects.toMatchObject({
    code: "SANDBOX_NOT_FOUND",
  });
});

test("a start that nobody wants any more is recorded as cancelled, and logged without a stack", async () => {
  const records: AttemptRecord[] = [];
  const observer = recordJobs({ record: (one) => records.push(one) });
  const parts = await testExecutor({}, { startMs: 50 }, undefined, { ...NO_OBSERVER, ...observer });
  for (const waitMs of [0, 10]) {
    const gone = new AbortController();
    const starting = watch(
      (await parts.executor.jobs.reserve(request("a"), NEVER)).start(ORDER, gone.signal),
    );
    await parts.clock.advance(waitMs);
    gone.abort(new Error("away"));
    await settle();
    expect(starting.error?.message).toBe("away");
  }
  const cancelled = { outcome: "cancelled", place: undefined, error: { code: "CALL_CANCELLED" } };
  expect(records).toMatchObject([cancelled, cancelled]);
  const told = parts.facts.filter((_, index) => parts.events[index] === "job.failed");
  expect(told).toMatchObject([{ error: cancelled.error }, { error: cancelled.error }]);
});

test("what a job had used some time before its end is told, and is not recorded as what it used", async () => {
  const records: AttemptRecord[] = [];
  const observer = recordJobs({ record: (one) => records.push(one) });
  const parts = await testExecutor({}, {}, undefined, { ...NO_OBSERVER, ...observer });
  const figures = { cpuMs: 12, memoryBytes: 1, memoryPeakBytes: undefined };
  const [seen, lost] = [await run(parts, "seen"), await run(parts, "lost")];
  live(parts, "seen").figures = { ...figures, isEarlier: true };
  live(parts, "lost").figures = figures;
  await lost.usage(NEVER);
  live(parts, "seen").die({ type: "exited", exitCode: 0 });
  live(parts, "lost").die({ type: "lost" });
  for (const job of [seen, lost]) {
    expect(await job.ending).toMatchObject({ usage: { cpuMs: 12 } });
    await passing(parts, job.settle(0));
  }
  expect(records).toMatchObject([{ use: undefined }, { use: undefined }]);
});

test("every attempt is recorded once, with its use and the phases of its time; room that was not used is none", async () => {
  const records: AttemptRecord[] = [];
  const observer = recordJobs({ record: (one) => records.push(one) });
  const parts = await testExecutor({}, { startMs: 40 }, undefined, { ...NO_OBSERVER, ...observer });
  const { executor, clock, driver } = parts;
  const room = await executor.jobs.reserve(request("a"), NEVER);
  await clock.advance(500);
  const starting = room.start({ ...ORDER, inputBytes: 7 }, NEVER);
  await clock.advance(40);
  const job = await starting;
  live(parts, "a").figures = { cpuMs: 12, memoryBytes: 1, memoryPeakBytes: 99 };
  await clock.advance(2_000);
  live(parts, "a").die({ type: "exited", exitCode: 3 });
  await job.ending;
  await passing(parts, job.settle(21));
  (await executor.jobs.reserve(request("unused"), NEVER)).release();
  driver.missing.add("job");
  const refused = await executor.jobs.reserve(request("b", 1, 128, 2), NEVER);
  await expect(passing(parts, refused.start(ORDER, NEVER))).rejects.toMatchObject({
    code: "IMAGE_NOT_FOUND",
  });
  expect(records).toMatchObject([
    {
      ...{ id: "a~1", door: "stream", outcome: "failed", bytesIn: 7, bytesOut: 21 },
      place: { isolation: "container", imageDigest: "sha256:job" },
      use: { type: "known", cpuMs: 12, memoryPeakBytes: 99 },
      times: { acceptedAtMs: 0, placedAtMs: 500, endedAtMs: 2_540 },
      error: { code: "TASK_EXITED", facts: { exitCode: 3 } },
    },
    { id: "b~2", outcome: "failed", place: undefined, error: { code: "IMAGE_NOT_FOUND" } },
  ]);
});

test("a job that is killed and then ends with 0 was killed all the same", async () => {
  const parts = await testExecutor({}, { stopMs: 1_000 });
  const job = await run(parts, "a");
  job.stop("killed", 10_000);
  live(parts, "a").die({ type: "exited", exitCode: 0 });
  expect(await job.ending).toMatchObject({ cause: "stopped", by: "killed" });
});
