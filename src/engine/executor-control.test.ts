import { describe, expect, test } from "vitest";
import { watch } from "../../test/support/running-jobs.ts";
import type { TestExecutor } from "../../test/support/test-executor.ts";
import { fill, record, task, testExecutor } from "../../test/support/test-executor.ts";
import { settle } from "../../test/support/virtual-clock.ts";
import { amountsOf, asId, ExecutorError, NO_OBSERVER, NO_RESOURCES } from "../core/index.ts";

describe("control", () => {
  test("M14: pause refuses at once, lets running calls finish and counts them, and removes warm sandboxes", async () => {
    const parts = await testExecutor({ pauseWaitMs: 1_000, cpuMillis: 2000 });
    await fill(parts, task("warm"));
    const running = record(parts.executor, task("busy"));
    await parts.clock.advance(10);
    const paused = parts.executor.pause();
    const refused = record(parts.executor, task("warm"));
    await settle();
    // The one that is busy runs its last call, which is not what a hot one does.
    expect(Object.fromEntries(parts.executor.sandboxes().map((one) => [one.task.image, one.tier]))).toEqual({
      warm: "stopping",
      busy: "retiring",
    });
    expect(refused.error).toMatchObject({ code: "PAUSED" });
    await parts.clock.advance(1_000);
    expect(await paused).toEqual({ running: 1 });
    expect([...parts.driver.live].map((sandbox) => sandbox.task.image)).toEqual(["busy"]);
    parts.channels.calls[0]?.answer("done");
    await settle();
    expect(running.text).toBe("done");
    await parts.clock.advance(10);
    expect(await parts.executor.pause()).toEqual({ running: 0 });
    expect(parts.executor.view()).toMatchObject({ state: "paused", reserved: NO_RESOURCES, sandboxes: 0 });
    parts.executor.unpause();
    const after = record(parts.executor, task("warm"));
    await parts.clock.advance(10);
    expect(after.placement).toBeDefined();
  });

  test("pause gives up starts under way, and their callers hear why", async () => {
    const parts = await testExecutor({}, { startMs: 1_000 });
    const call = record(parts.executor, task("a"));
    await parts.clock.advance(10);
    const paused = parts.executor.pause();
    await parts.clock.advance(10);
    expect(await paused).toEqual({ running: 0 });
    expect(call.error).toMatchObject({ code: "PAUSED" });
    expect(parts.driver.live.size).toBe(0);
  });

  test("E3: lower limits make idle sandboxes go, and busy ones once they are done", async () => {
    const parts = await testExecutor({ cpuMillis: 3000, memoryBytes: 3 * 128 * 1_048_576 });
    await fill(parts, task("idle"));
    record(parts.executor, task("busy"));
    await parts.clock.advance(10);
    parts.executor.configure({ ...parts.executor.settings(), memoryBytes: 100 * 1_048_576 });
    await parts.clock.advance(10);
    expect([...parts.driver.live].map((sandbox) => sandbox.task.image)).toEqual(["busy"]);
    parts.channels.calls[0]?.answer();
    await parts.clock.advance(10);
    expect(parts.driver.live.size).toBe(0);
    const big = record(parts.executor, task("busy"));
    await settle();
    expect(big.error).toMatchObject({
      code: "RESOURCES_EXCEED_LIMIT",
      facts: { field: "resource.mem", limit: 100 },
    });
  });

  test("drain lets running calls finish, cuts them at the deadline, and leaves nothing", async () => {
    const parts = await testExecutor();
    await fill(parts, task("warm"));
    const quick = record(parts.executor, task("quick"));
    const slow = record(parts.executor, task("slow"));
    await parts.clock.advance(10);
    const drained = parts.executor.drain({ deadlineMs: 5_000, keepWarm: false });
    parts.channels.calls[0]?.answer("in time");
    await parts.clock.advance(6_000);
    expect(await drained).toEqual({ cut: 1 });
    expect(quick.text).toBe("in time");
    expect(slow.error).toMatchObject({ code: "DRAINING" });
    expect(parts.driver.live.size).toBe(0);
    expect(executorIsEmpty(parts)).toBe(true);
  });

  test("M14: a call that outlives the wait of the pause makes it a pause when it ends, with nobody asking again", async () => {
    const parts = await testExecutor({ pauseWaitMs: 1_000 });
    record(parts.executor, task("busy"));
    await parts.clock.advance(10);
    const paused = parts.executor.pause();
    await parts.clock.advance(1_000);
    expect(await paused).toEqual({ running: 1 });
    expect(parts.executor.view().state).toBe("pausing");
    parts.channels.calls[0]?.answer();
    await parts.clock.advance(10);
    expect(parts.executor.view()).toMatchObject({ state: "paused", sandboxes: 0 });
  });

  test("a pause that was taken back, or that the end overtook, is over: quiet makes no pause of it any more", async () => {
    const states: string[] = [];
    const observer = { ...NO_OBSERVER, executorChanged: (state: string) => states.push(state) };
    const parts = await testExecutor({ pauseWaitMs: 1_000 }, {}, undefined, observer);
    const { executor, clock, channels } = parts;
    record(executor, task("a"));
    await clock.advance(10);
    const first = executor.pause();
    executor.unpause();
    channels.calls[0]?.answer();
    await clock.advance(1_000);
    expect([await first, executor.view().sandboxes, states]).toEqual([
      { running: 0 },
      0,
      ["pausing", "running"],
    ]);
    record(executor, task("a"));
    await clock.advance(10);
    const second = executor.pause();
    await clock.advance(1_000);
    await second;
    const drained = executor.drain({ deadlineMs: 5_000, keepWarm: false });
    channels.calls[0]?.answer();
    await clock.advance(10);
    expect(await drained).toEqual({ cut: 0 });
    expect(states).toEqual(["pausing", "running", "pausing", "draining"]);
  });

  test("a pause that is begun anew becomes one pause", async () => {
    const states: string[] = [];
    const observer = { ...NO_OBSERVER, executorChanged: (state: string) => states.push(state) };
    const { executor, clock, channels } = await testExecutor({ pauseWaitMs: 1_000 }, {}, undefined, observer);
    record(executor, task("a"));
    await clock.advance(10);
    const first = executor.pause();
    executor.unpause();
    const second = executor.pause();
    channels.calls[0]?.answer();
    await clock.advance(10);
    expect(await Promise.all([first, second])).toEqual([{ running: 0 }, { running: 0 }]);
    expect(states).toEqual(["pausing", "running", "pausing", "paused"]);
  });

  test("M14: a call that cannot reach its sandbox once a pause has begun is refused, and nothing is started for it", async () => {
    const { executor, driver, clock, channels } = await testExecutor({ pauseWaitMs: 1_000 });
    const call = record(executor, task("a"));
    await clock.advance(10);
    const paused = executor.pause();
    channels.calls[0]?.fail(new ExecutorError("TASK_UNREACHABLE"));
    await clock.advance(10);
    expect([call.ends, call.error]).toMatchObject([1, { code: "PAUSED" }]);
    expect(await paused).toEqual({ running: 0 });
    expect(driver.started).toHaveLength(1);
    expect(executor.view()).toMatchObject({
      ...{ state: "paused", running: 0, waiting: 0, sandboxes: 0 },
      reserved: NO_RESOURCES,
    });
  });

  test("a call that cannot reach its sandbox once the drain has begun gets its answer, and nothing is started for it", async () => {
    const { executor, driver, clock, channels } = await testExecutor();
    const call = record(executor, task("a"), { session: { type: "open" } });
    await clock.advance(10);
    const drained = executor.drain({ deadlineMs: 5_000, keepWarm: false });
    channels.calls[0]?.fail(new ExecutorError("TASK_UNREACHABLE"));
    await clock.advance(10);
    expect([call.ends, call.error]).toMatchObject([1, { code: "DRAINING" }]);
    expect(await drained).toEqual({ cut: 0 });
    expect([driver.started.length, executor.sessions()]).toEqual([1, []]);
  });

  test("a drain after a pause leaves calls the time that it has", async () => {
    const parts = await testExecutor({ pauseWaitMs: 1_000 });
    const call = record(parts.executor, task("busy"));
    await parts.clock.advance(10);
    const paused = parts.executor.pause();
    await parts.clock.advance(1_000);
    await paused;
    const drained = parts.executor.drain({ deadlineMs: 5_000, keepWarm: false });
    await parts.clock.advance(4_000);
    expect([call.ends, parts.driver.live.size]).toEqual([0, 1]);
    parts.channels.calls[0]?.answer("in time");
    await parts.clock.advance(10);
    expect(await drained).toEqual({ cut: 0 });
    expect(call.text).toBe("in time");
    expect(executorIsEmpty(parts)).toBe(true);
  });

  test("drain can leave warm sandboxes to the next life", async () => {
    const parts = await testExecutor();
    await fill(parts, task("warm"));
    await parts.executor.drain({ deadlineMs: 0, keepWarm: true });
    await parts.executor[Symbol.asyncDispose]();
    expect([...parts.driver.live].map((sandbox) => sandbox.task.image)).toEqual(["warm"]);
  });

  test("M26: prefetch of a moved tag retires the sandboxes of the old content", async () => {
    const parts = await testExecutor();
    await fill(parts, task("a"));
    parts.driver.digests.set("a", "sha256:new");
    const prefetching = parts.executor.prefetch("a", {}, new AbortController().signal);
    await parts.clock.advance(1);
    expect(await prefetching).toEqual({ digest: "sha256:new", wasPulled: false, retired: 1 });
    record(parts.executor, task("a"));
    await parts.clock.advance(10);
    expect([...parts.driver.live].map((sandbox) => sandbox.imageDigest)).toEqual(["sha256:new"]);
  });

  test("evict refuses a busy sandbox unless forced", async () => {
    const parts = await testExecutor();
    const call = record(parts.executor, task("a"));
    await parts.clock.advance(10);
    const [view] = parts.executor.sandboxes();
    if (view === undefined) throw new Error("no sandbox");
    await expect(parts.executor.evict(view.sandboxId, { isForced: false })).rejects.toMatchObject({
      code: "SANDBOX_BUSY",
      facts: { reason: "calls run in it", calls: 1 },
    });
    const evicted = parts.executor.evict(view.sandboxId, { isForced: true });
    await parts.clock.advance(10);
    await evicted;
    expect(parts.driver.live.size).toBe(0);
    expect(call.ends).toBe(0);
  });
});

describe("an earlier life", () => {
  test("M29: its healthy sandboxes are booked at once and answer; the others are reaped", async () => {
    const reaped: string[] = [];
    const clockless = await testExecutor();
    await fill(clockless, task("kept"));
    const [kept] = [...clockless.driver.live];
    if (kept === undefined) throw new Error("no sandbox");
    const parts = await testExecutor({}, {}, (driver) => {
      driver.live.add(kept);
      driver.leftoverSandboxes = [
        {
          sandboxId: kept.id,
          task: kept.task,
          imageDigest: kept.imageDigest,
          gpuIds: [],
          isFrozen: false,
          adopt: async () => kept,
          reap: async () => undefined,
        },
        {
          sandboxId: "s-broken" as typeof kept.id,
          task: task("broken"),
          imageDigest: "sha256:broken",
          gpuIds: [],
          isFrozen: false,
          adopt: async () => {
            throw new Error("its port does not accept");
          },
          reap: async () => {
            reaped.push("s-broken");
          },
        },
      ];
    });
    await settle();
    expect(reaped).toEqual(["s-broken"]);
    expect(parts.executor.view().reserved).toEqual({ ...amountsOf(task("kept").resources), gpuCount: 0 });
    const call = record(parts.executor, task("kept"));
    await settle();
    expect(call.placement?.sandboxId).toBe(kept.id);
    expect(parts.driver.started).toHaveLength(0);
  });

  test("C13: one that can neither be adopted nor removed at first stays booked until it is gone", async () => {
    let tries = 0;
    const { executor, clock } = await testExecutor({}, {}, (driver) => {
      driver.leftoverSandboxes = [
        {
          sandboxId: asId<"sandbox">("s-busy"),
          task: task("busy"),
          imageDigest: "sha256:busy",
          gpuIds: [],
          isFrozen: false,
          adopt: async () => {
            throw new Error("its port does not accept");
          },
          reap: async () => {
            tries += 1;
            if (tries < 3) throw new Error("removal is in progress");
          },
        },
      ];
    });
    await settle();
    expect(executor.view().reserved).toEqual({ ...amountsOf(task("busy").resources), gpuCount: 0 });
    await clock.advance(10_000);
    expect([tries, executor.view().sandboxes]).toEqual([3, 0]);
    expect(executor.view().reserved).toEqual(NO_RESOURCES);
  });

  test("a request to end that fails costs a sandbox nothing of its grace", async () => {
    const parts = await testExecutor({ stopGraceMs: 10_000 });
    await fill(parts, task("a"));
    const [sandbox] = parts.driver.live;
    parts.driver.script("stop", "reject");
    const evicted = watch(
      parts.executor.evict(parts.executor.sandboxes()[0]!.sandboxId, { isForced: false }),
    );
    await parts.clock.advance(1_000);
    expect(evicted.error).toBeUndefined();
    expect(sandbox?.graces).toHaveLength(2);
    expect(sandbox?.graces[0]).toBe(10_000);
    expect(sandbox?.graces[1]).toBeGreaterThan(9_000);
    expect(sandbox?.graces[1]).toBeLessThan(10_000);
  });

  test("a second end by force takes the grace that the first one gave", async () => {
    const parts = await testExecutor({ stopGraceMs: 600_000 });
    parts.driver.usesGrace = true;
    await fill(parts, task("stubborn"));
    const evicted = watch(
      parts.executor.evict(parts.executor.sandboxes()[0]!.sandboxId, { isForced: false }),
    );
    const first = watch(parts.executor.drain({ deadlineMs: 30_000, keepWarm: false }));
    await parts.clock.advance(60_000);
    expect(parts.driver.live.size).toBe(1);
    const forced = watch(parts.executor.drain({ deadlineMs: 0, keepWarm: false, isForced: true }));
    await parts.clock.advance(1_000);
    expect([first.value, forced.value]).toEqual([{ cut: 0 }, { cut: 0 }]);
    expect(evicted.error).toBeUndefined();
    expect(parts.driver.live.size).toBe(0);
  });

  test("C3: an end by force waits for a driver that never removes a sandbox no longer than any end, whatever grace was given", async () => {
    const parts = await testExecutor({ stopGraceMs: 600_000 }, { stopMs: 3_600_000 });
    await fill(parts, task("stuck"));
    watch(parts.executor.evict(parts.executor.sandboxes()[0]!.sandboxId, { isForced: false }));
    const first = watch(parts.executor.drain({ deadlineMs: 30_000, keepWarm: false }));
    await parts.clock.advance(35_000);
    const forced = watch(parts.executor.drain({ deadlineMs: 0, keepWarm: false, isForced: true }));
    await parts.clock.advance(29_000);
    expect([first.value, forced.value]).toEqual([undefined, undefined]);
    await parts.clock.advance(1_000);
    expect([first.value, forced.value]).toEqual([{ cut: 0 }, { cut: 0 }]);
    const disposed = watch(Promise.resolve(parts.executor[Symbol.asyncDispose]()).then(() => true));
    await parts.clock.advance(5_000);
    expect(disposed.value).toBe(true);
  });

  test("C3: a driver that never removes a sandbox holds up the end once, whoever asks for it again and whatever grace nobody needs", async () => {
    const { executor, clock } = await (async () => {
      const parts = await testExecutor({ stopGraceMs: 600_000 }, { stopMs: 3_600_000 });
      await fill(parts, task("stuck"));
      return parts;
    })();
    const ended = { drained: false, disposed: false };
    const over = executor.drain({ deadlineMs: 1_000, keepWarm: false }).then(async () => {
      ended.drained = true;
      await executor[Symbol.asyncDispose]();
      ended.disposed = true;
    });
    await clock.advance(29_000);
    expect(ended.drained).toBe(false);
    await clock.advance(1_000);
    expect(ended).toEqual({ drained: true, disposed: false });
    await clock.advance(5_000);
    expect(ended.disposed).toBe(true);
    await over;
  });
});

function executorIsEmpty(parts: TestExecutor): boolean {
  const view = parts.executor.view();
  return view.running === 0 && view.sandboxes === 0 && view.reserved.memoryBytes === 0;
}
