import { expect, test } from "vitest";
import { card, FakeGpus } from "../../../test/support/fake-gpus.ts";
import { ORDER, jobRequest as request } from "../../../test/support/job-order.ts";
import { JobStories } from "../../../test/support/job-player.ts";
import { live, NEVER, passing, run, watch } from "../../../test/support/running-jobs.ts";
import { gpuTask, record, task, testExecutor } from "../../../test/support/test-executor.ts";
import { settle } from "../../../test/support/virtual-clock.ts";
import { MEBIBYTE, NO_RESOURCES } from "../../core/index.ts";
import type { JobRoom } from "./jobs.ts";

test("a room is used once: after its start it cannot be given back, after its return not used", async () => {
  const parts = await testExecutor();
  const { executor } = parts;
  const used = await executor.jobs.reserve(request("a"), NEVER);
  const starting = used.start(ORDER, NEVER);
  used.release();
  await parts.clock.advance(10);
  await starting;
  expect(executor.jobs.list()).toHaveLength(1);
  await expect(used.start(ORDER, NEVER)).rejects.toThrow(/running/);
  const free = await executor.jobs.reserve(request("b"), NEVER);
  free.release();
  free.release();
  await expect(free.start(ORDER, NEVER)).rejects.toThrow(/gone/);
  expect(executor.jobs.list()).toHaveLength(1);
});

test("idle warm sandboxes go for a job as they do for a call, and whether there is room is told without doing it", async () => {
  const parts = await testExecutor({ cpuMillis: 2_000, memoryBytes: 300 * MEBIBYTE }, { stopMs: 20 });
  const { executor, clock, driver, channels } = parts;
  record(executor, task("warm", 2, 200));
  await clock.advance(10);
  const big = request("big", 2, 300);
  expect(executor.jobs.hasRoomFor(big.task, "stream")).toBe(false);
  channels.calls[0]?.answer();
  await settle();
  expect(executor.jobs.hasRoomFor(big.task, "stream")).toBe(true);
  expect(driver.live.size).toBe(1);
  const reserving = executor.jobs.reserve(big, NEVER);
  await clock.advance(30);
  await reserving;
  expect(driver.live.size).toBe(0);
  expect(executor.jobs.hasRoomFor(task("job", 0.1, 1), "stream")).toBe(false);
});

test("a job that waits is shown with its reason, waits without a deadline, and is gone with its signal", async () => {
  const parts = await testExecutor({ cpuMillis: 1_000, queueTimeoutMs: 1_000 });
  const { executor, clock } = parts;
  const job = await run(parts, "a");
  const gone = new AbortController();
  const waiting = watch(executor.jobs.reserve(request("b"), gone.signal));
  await clock.advance(3_600_000);
  expect(executor.waiting()).toMatchObject([
    { jobIds: ["b"], callers: 1, reason: "other tasks hold the CPU or memory that it needs" },
  ]);
  expect(executor.view().jobs).toEqual({ byState: { running: 1 }, running: 1, waiting: 1 });
  gone.abort(new Error("away"));
  await settle();
  expect(waiting.error?.message).toBe("away");
  expect(executor.waiting()).toEqual([]);
  job.stop("killed", 0);
  await clock.advance(10);
  await passing(parts, job.settle(0));
  expect(executor.view().reserved).toEqual(NO_RESOURCES);
});

test("what only the end of a job can make room for is passed by calls, and by no other job", async () => {
  const parts = await testExecutor({ cpuMillis: 2_000, passOverMs: 1_000 });
  const { executor, clock, channels } = parts;
  channels.runMs = 5;
  const long = await run(parts, "long", 1);
  const big = watch(executor.jobs.reserve(request("big", 2), NEVER));
  await clock.advance(5_000);
  const small = watch(executor.jobs.reserve(request("small", 0.5), NEVER));
  expect(executor.jobs.hasRoomFor(task("job", 0.5), "stream")).toBe(false);
  const call = record(executor, task("call", 0.5));
  await clock.advance(500);
  expect(call).toMatchObject({ ends: 1, status: 200 });
  expect([big.value, small.value]).toEqual([undefined, undefined]);
  live(parts, "long").die({ type: "exited", exitCode: 0 });
  await long.ending;
  await passing(parts, long.settle(0));
  await clock.advance(1_000);
  expect(big.value).toBeDefined();
  expect(small.value).toBeUndefined();
});

test("jobs take nothing of what another door is sure of, since it would not come back for hours", async () => {
  const none = { cpuMillis: 0, memoryBytes: 0 };
  const shares = { http: { cpuMillis: 1_000, memoryBytes: 100 * MEBIBYTE }, stream: none, indexify: none };
  const parts = await testExecutor({ cpuMillis: 3_000, shares });
  const { executor, clock, channels } = parts;
  channels.runMs = 5;
  const room = await executor.jobs.reserve(request("a", 2), NEVER);
  expect(executor.jobs.hasRoomFor(task("job", 0.5), "stream")).toBe(false);
  const waiting = watch(executor.jobs.reserve(request("b", 0.5), NEVER));
  await clock.advance(5_000);
  expect(waiting.value).toBeUndefined();
  const call = record(executor, task("call", 1));
  await clock.advance(100);
  expect(call).toMatchObject({ ends: 1, status: 200 });
  room.release();
  await clock.advance(10);
  expect(waiting.value).toBeDefined();
  expect(() => executor.jobs.check(task("job", 2.5))).toThrow(/asked 2.5; limit 2/);
});

test("I10: what can never run here is refused at once", async () => {
  const { executor } = await testExecutor();
  const refused = (wish: ReturnType<typeof task>): Promise<JobRoom> =>
    executor.jobs.reserve({ ...request("a"), task: wish }, NEVER);
  await expect(refused(task("job", 5))).rejects.toMatchObject({ code: "RESOURCES_EXCEED_LIMIT" });
  await expect(refused(task("forbidden"))).rejects.toMatchObject({ code: "IMAGE_FORBIDDEN" });
  await expect(refused(gpuTask("job"))).rejects.toMatchObject({ code: "GPU_UNAVAILABLE" });
  expect(executor.jobs.hasRoomFor(task("job", 5), "stream")).toBe(false);
});

test("I10, M23: a job gets its cards by UUID, beside those of calls, and gives them back when it is gone", async () => {
  const gpus = new FakeGpus([card(0), card(1)]);
  const parts = await testExecutor({ hasGpu: true }, {}, undefined, undefined, gpus);
  const { executor, clock, driver } = parts;
  record(executor, gpuTask("call"));
  await clock.advance(10);
  const room = await executor.jobs.reserve({ ...request("a"), task: gpuTask("job") }, NEVER);
  expect(room.gpuIds).toEqual(["GPU-1"]);
  expect(executor.jobs.hasRoomFor(gpuTask("job"), "stream")).toBe(false);
  const job = await passing(parts, room.start(ORDER, NEVER));
  expect(driver.startedJobs).toMatchObject([{ gpuIds: ["GPU-1"] }]);
  const waiting = watch(executor.jobs.reserve({ ...request("b"), task: gpuTask("job") }, NEVER));
  await clock.advance(1_000);
  expect(executor.waiting()).toMatchObject([{ reason: "other tasks hold the GPUs that it needs" }]);
  live(parts, "a").die({ type: "exited", exitCode: 0 });
  await passing(parts, job.settle(0));
  expect(waiting.value?.gpuIds).toEqual(["GPU-1"]);
  expect(executor.view().reservedByDoor.stream.gpuCount).toBe(1);
});

test("what a call would wait for names the jobs that stand in its way, and promises no time", async () => {
  const parts = await testExecutor({ cpuMillis: 1_000 });
  const job = await run(parts, "a");
  const verdict = await parts.executor.explain(task("call"), "http", NEVER);
  expect(verdict).toMatchObject({ type: "wait", busy: [job.sandboxId], expectedMs: undefined });
});

test("whoever goes away in the very turn in which its room is booked gets none", async () => {
  const stories = new JobStories();
  const { executor } = await testExecutor({}, {}, undefined, stories.observer);
  const gone = new AbortController();
  const reserving = executor.jobs.reserve(request("a"), gone.signal);
  gone.abort(new Error("away"));
  await expect(reserving).rejects.toThrow("away");
  expect(executor.view().reserved).toEqual(NO_RESOURCES);
  expect([...stories.overs.values()]).toEqual([1]);
});

test("room that a job is about to give back costs nobody a warm sandbox", async () => {
  const parts = await testExecutor({ cpuMillis: 2_000 }, { stopMs: 500 });
  const { executor, clock, channels, driver } = parts;
  const job = await run(parts, "a");
  record(executor, task("warm", 1));
  await clock.advance(10);
  channels.calls[0]?.answer();
  live(parts, "a").die({ type: "exited", exitCode: 0 });
  await job.ending;
  const settling = job.settle(0);
  await settle();
  expect(executor.jobs.list()).toMatchObject([{ state: "removing" }]);
  const next = watch(executor.jobs.reserve(request("b"), NEVER));
  await clock.advance(600);
  await settling;
  expect(next.value).toBeDefined();
  expect([...driver.live].map(({ isFrozen }) => isFrozen)).toEqual([false]);
});

test("a call that only the end of a job could help does not keep smaller calls waiting", async () => {
  const parts = await testExecutor({ cpuMillis: 2_000, passOverMs: 1_000, queueTimeoutMs: 60_000 });
  const { executor, clock, channels } = parts;
  channels.runMs = 5;
  await run(parts, "long", 1.5);
  const big = record(executor, task("big", 1));
  await clock.advance(5_000);
  const small = record(executor, task("small", 0.5));
  await clock.advance(500);
  expect([big.ends, small.ends]).toEqual([0, 1]);
});

test("a job's command can tell by its environment which attempt of which job it is, whatever its type sets", async () => {
  const { executor, driver, clock } = await testExecutor();
  const room = await executor.jobs.reserve(request("a", 1, 128, 3), NEVER);
  const environment = { FLAVOUR: "strong", HEARTH_ATTEMPT: "0" };
  const starting = room.start({ ...ORDER, environment }, NEVER);
  await clock.advance(100);
  await starting;
  expect(driver.startedJobs).toMatchObject([
    { environment: { FLAVOUR: "strong", HEARTH_JOB_ID: "a", HEARTH_ATTEMPT: "3" } },
  ]);
});
