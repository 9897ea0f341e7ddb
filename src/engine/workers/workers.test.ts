import { expect, test } from "vitest";
import { JobStories } from "../../../test/support/job-player.ts";
import type { TestExecutor } from "../../../test/support/test-executor.ts";
import { task, testExecutor } from "../../../test/support/test-executor.ts";
import { settle } from "../../../test/support/virtual-clock.ts";
import type { AttemptRecord, SandboxEnd } from "../../core/index.ts";
import { NO_RESOURCES } from "../../core/index.ts";
import type { FakeJob } from "../../drivers/fake/fake-job.ts";
import { recordJobs } from "../jobs/record-jobs.ts";
import type { RunningWorker, WorkerRequest } from "./workers.ts";

const NEVER = new AbortController().signal;

function request(workerId: string, changes: Partial<WorkerRequest> = {}): WorkerRequest {
  return {
    workerId,
    door: "indexify",
    task: task("functions:1"),
    purpose: "function",
    serves: undefined,
    command: (listen) => ["function-executor", "--address", listen],
    environment: { INDEXIFY_FE_ID: workerId },
    binds: [],
    labels: {},
    user: undefined,
    pidsLimit: undefined,
    ...changes,
  };
}

/** In virtual time nothing comes to its end by itself. */
async function passing<T>({ clock }: TestExecutor, work: Promise<T>): Promise<T> {
  await clock.advance(100);
  return await work;
}

async function run(parts: TestExecutor, workerId: string): Promise<RunningWorker> {
  return await passing(parts, parts.executor.jobs.workers.start(request(workerId), NEVER));
}

function live({ driver }: TestExecutor, workerId: string): FakeJob {
  const found = [...driver.liveJobs].find(({ mark }) => mark.jobId === workerId);
  if (found === undefined) throw new Error(`no worker ${workerId} lives`);
  return found;
}

test("a worker holds its room in its door's name, is on the list of jobs, and gives it back when it is killed", async () => {
  const parts = await testExecutor({}, { startMs: 30, stopMs: 20 });
  const { executor, driver } = parts;
  const worker = await run(parts, "c1");
  expect(executor.view().reservedByDoor.indexify.cpuMillis).toBe(1000);
  expect(executor.jobs.list()).toMatchObject([
    { state: "running", mark: { jobId: "c1" }, door: "indexify", imageDigest: "sha256:functions:1" },
  ]);
  expect(driver.startedWorkers).toMatchObject([{ environment: { INDEXIFY_FE_ID: "c1" } }]);
  expect(worker.endpoint).toEqual({ host: worker.sandboxId, port: 8080 });
  await passing(parts, worker.kill());
  expect(await worker.ended).toEqual({ type: "stopped" });
  expect(driver.liveJobs.size).toBe(0);
  expect(executor.jobs.list()).toEqual([]);
  expect(executor.view().reserved).toEqual(NO_RESOURCES);
  await worker.kill();
});

test.each<SandboxEnd>([{ type: "exited", exitCode: 1 }, { type: "memory", limitBytes: 5 }, { type: "lost" }])(
  "X10: one that ends by itself with %o says so, and its room comes back without anybody's asking",
  async (end) => {
    const parts = await testExecutor({}, { stopMs: 20 });
    const worker = await run(parts, "c1");
    live(parts, "c1").die(end);
    expect(await worker.ended).toEqual(end);
    await parts.clock.advance(100);
    expect(parts.driver.liveJobs.size).toBe(0);
    expect(parts.executor.view().reserved).toEqual(NO_RESOURCES);
  },
);

test("room comes back only when the engine has removed it; until then the engine is asked again", async () => {
  const parts = await testExecutor({}, { stopMs: 20 });
  const worker = await run(parts, "c1");
  parts.driver.script("removeJob", "reject", "reject");
  await passing(parts, worker.kill());
  expect(parts.executor.view().reserved.cpuMillis).toBe(1000);
  await parts.clock.advance(5_000);
  expect(parts.executor.view().reserved).toEqual(NO_RESOURCES);
});

test("a start that fails leaves nothing and holds no room", async () => {
  const parts = await testExecutor();
  parts.driver.script("startJob", "reject");
  const starting = parts.executor.jobs.workers.start(request("c1"), NEVER);
  const failing = expect(starting).rejects.toMatchObject({ code: "SANDBOX_START_FAILED" });
  await parts.clock.advance(100);
  await failing;
  expect(parts.executor.jobs.list()).toEqual([]);
  expect(parts.executor.view().reserved).toEqual(NO_RESOURCES);
});

test("one that has no room waits for it in the queue of all doors; given up, it never starts", async () => {
  const parts = await testExecutor();
  const workers = await Promise.all([run(parts, "c1"), run(parts, "c2"), run(parts, "c3"), run(parts, "c4")]);
  const next = parts.executor.jobs.workers.start(request("c5"), NEVER);
  const stop = new AbortController();
  const unwanted = parts.executor.jobs.workers.start(request("c6"), stop.signal);
  const givenUp = expect(unwanted).rejects.toThrow("removed");
  await parts.clock.advance(60_000);
  expect(parts.executor.waiting()).toMatchObject([{ callers: 2, jobIds: ["c5", "c6"] }]);
  stop.abort(new Error("removed"));
  await givenUp;
  await passing(parts, workers[0].kill());
  const fifth = await passing(parts, next);
  expect(live(parts, "c5").id).toBe(fifth.sandboxId);
  expect(parts.driver.startedWorkers.map(({ mark }) => mark.jobId)).not.toContain("c6");
});

test("where the driver makes workers of no image, none is resolved, and its digest is the driver's word", async () => {
  const parts = await testExecutor({}, {}, (driver) => {
    driver.workersNeedImage = false;
  });
  expect(parts.executor.jobs.workers.needImage).toBe(false);
  await run(parts, "c1");
  expect(parts.driver.resolved).toEqual([]);
  expect(parts.driver.startedWorkers).toMatchObject([{ image: undefined }]);
});

test("the list of images that callers may ask for says nothing of the operator's own worker; its size is checked", async () => {
  const parts = await testExecutor();
  const { jobs } = parts.executor;
  expect(() => jobs.workers.check(task("forbidden"), "indexify")).not.toThrow();
  expect(() => jobs.check(task("forbidden"))).toThrow();
  expect(() => jobs.workers.check(task("functions:1", 100), "indexify")).toThrow(/100/);
});

test("each leaves one record of its door's, and is told of as jobs are", async () => {
  const records: AttemptRecord[] = [];
  const stories = new JobStories();
  const observer = {
    ...recordJobs({ record: (record) => records.push(record) }),
    jobChanged: stories.observer.jobChanged,
  };
  const parts = await testExecutor({}, { stopMs: 20 }, undefined, observer);
  const request1 = request("c1", { serves: "ns:app:hello:v1" });
  const worker = await passing(parts, parts.executor.jobs.workers.start(request1, NEVER));
  expect(parts.executor.jobs.list()).toMatchObject([{ serves: "ns:app:hello:v1" }]);
  await passing(parts, worker.kill());
  expect(stories.states.get(worker.sandboxId)).toBe("gone");
  expect(records).toMatchObject([
    {
      id: `c1~${worker.sandboxId}`,
      door: "indexify",
      outcome: "cancelled",
      place: { sandboxId: worker.sandboxId, imageDigest: "sha256:functions:1" },
    },
  ]);
});

test("draining ends it, and asks its grace of nobody else", async () => {
  const parts = await testExecutor({}, { stopMs: 20 });
  const worker = await run(parts, "c1");
  const draining = parts.executor.drain({ deadlineMs: 1_000, keepWarm: false });
  await parts.clock.advance(30_000);
  await draining;
  expect(await worker.ended).toEqual({ type: "stopped" });
  expect(parts.driver.liveJobs.size).toBe(0);
});

test("killing one of an executor that has let go does not wait for ever", async () => {
  const parts = await testExecutor();
  const worker = await run(parts, "c1");
  const letGo = parts.executor[Symbol.asyncDispose]();
  await parts.clock.advance(100);
  await letGo;
  await passing(parts, worker.kill());
});

test("X10: what an earlier life left of workers is ended by the next one, and no door is offered it", async () => {
  const before = await testExecutor();
  await run(before, "c1");
  const parts = await testExecutor({}, {}, (driver) => before.driver.leaveJobsTo(driver));
  await settle();
  expect(parts.executor.jobs.leftovers()).toEqual([]);
  await parts.clock.advance(1_000);
  expect(parts.driver.liveJobs.size).toBe(0);
  expect(parts.executor.view().reserved).toEqual(NO_RESOURCES);
});

test("a pause lets a worker be that has nothing to do, and waits for one that has", async () => {
  const parts = await testExecutor({ pauseWaitMs: 60_000 });
  const { executor } = parts;
  const [idle, busy] = [await run(parts, "c1"), await run(parts, "c2")];
  idle.rest(true);
  let paused: number | undefined;
  const pausing = executor.pause().then(({ running }) => {
    paused = running;
  });
  await parts.clock.advance(1_000);
  expect([paused, executor.view().state]).toEqual([undefined, "pausing"]);
  busy.rest(true);
  await pausing;
  expect([paused, executor.view().state]).toEqual([0, "paused"]);
  // It may be given work all the same; nobody has ended it.
  idle.rest(false);
  expect(parts.driver.liveJobs.size).toBe(2);
  executor.unpause();
  await passing(parts, Promise.all([idle.kill(), busy.kill()]));
});

test("a worker that is asked for in a pause waits for its end, on the list of what waits and with the reason", async () => {
  const parts = await testExecutor();
  const { executor, clock } = parts;
  await executor.pause();
  const starting = executor.jobs.workers.start(request("c1"), NEVER);
  const stop = new AbortController();
  const unwanted = executor.jobs.workers.start(request("c2"), stop.signal);
  const givenUp = expect(unwanted).rejects.toThrow("removed");
  await clock.advance(60_000);
  expect(executor.waiting()).toMatchObject([
    { callers: 2, waitedMs: 60_000, reason: "the executor is paused", jobIds: ["c1", "c2"] },
  ]);
  expect([executor.view().jobs.waiting, executor.view().state]).toEqual([2, "paused"]);
  stop.abort(new Error("removed"));
  await givenUp;
  expect(executor.waiting()).toMatchObject([{ callers: 1, jobIds: ["c1"] }]);
  executor.unpause();
  await clock.advance(2_000);
  await starting;
  expect(executor.waiting()).toEqual([]);
  expect(executor.jobs.list()).toMatchObject([{ state: "running", mark: { jobId: "c1" } }]);
  expect(parts.driver.startedWorkers).toHaveLength(1);
});

test("a pause that comes while a worker waits for room keeps it on the list", async () => {
  const parts = await testExecutor();
  const { executor, clock } = parts;
  const workers = await Promise.all([run(parts, "c1"), run(parts, "c2"), run(parts, "c3"), run(parts, "c4")]);
  for (const worker of workers) worker.rest(true);
  const next = executor.jobs.workers.start(request("c5"), NEVER);
  await settle();
  await executor.pause();
  await settle();
  expect(executor.waiting()).toMatchObject([{ reason: "the executor is paused", jobIds: ["c5"] }]);
  executor.unpause();
  await clock.advance(1_000);
  expect(executor.waiting()).toMatchObject([
    { reason: "other tasks hold the CPU or memory that it needs", jobIds: ["c5"] },
  ]);
  await passing(parts, workers[0].kill());
  await passing(parts, next);
});

test("a worker that waits for the end of a pause is refused when the executor ends", async () => {
  const { executor, clock } = await testExecutor();
  await executor.pause();
  const refused = expect(executor.jobs.workers.start(request("c1"), NEVER)).rejects.toMatchObject({
    code: "DRAINING",
  });
  await executor.drain({ deadlineMs: 0, keepWarm: false });
  await clock.advance(1_000);
  await refused;
  expect(executor.waiting()).toEqual([]);
});

test("by hand a worker is ended by force only, and what is said of it is true of one that has nothing to do", async () => {
  const parts = await testExecutor({}, { stopMs: 20 });
  const worker = await run(parts, "c1");
  worker.rest(true);
  const refused = parts.executor.evict(worker.sandboxId, { isForced: false });
  await expect(refused).rejects.toMatchObject({
    code: "SANDBOX_BUSY",
    message: expect.stringMatching(
      /^the sandbox is in use: it is a worker, which its server starts and ends/,
    ),
  });
  await passing(parts, parts.executor.evict(worker.sandboxId, { isForced: true }));
  expect(await worker.ended).toEqual({ type: "stopped" });
});

test("a drain ends a worker that has nothing to do at once, one that has when it is done, and the rest at its deadline", async () => {
  const parts = await testExecutor({}, { stopMs: 20 });
  const { executor, clock } = parts;
  const [idle, soon, stuck] = [await run(parts, "c1"), await run(parts, "c2"), await run(parts, "c3")];
  const alive = (): readonly string[] => [...parts.driver.liveJobs].map(({ mark }) => mark.jobId);
  idle.rest(true);
  let cut: number | undefined;
  const draining = executor.drain({ deadlineMs: 10_000, keepWarm: false }).then((drained) => {
    cut = drained.cut;
  });
  await clock.advance(1_000);
  expect(alive()).toEqual(["c2", "c3"]);
  soon.rest(true);
  await clock.advance(1_000);
  expect(alive()).toEqual(["c3"]);
  expect(cut).toBeUndefined();
  await clock.advance(10_000);
  await draining;
  expect([cut, alive(), executor.view().reserved]).toEqual([1, [], NO_RESOURCES]);
  expect(await stuck.ended).toEqual({ type: "stopped" });
});
