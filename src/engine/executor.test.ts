import { describe, expect, test } from "vitest";
import { record, task, testExecutor } from "../../test/support/test-executor.ts";
import { settle } from "../../test/support/virtual-clock.ts";
import type { ExecutorError } from "../core/errors.ts";
import { amountsOf, asId, NO_RESOURCES } from "../core/index.ts";

describe("a call", () => {
  test("M5: two calls of one task meet one sandbox, the second one warm", async () => {
    const { executor, driver, channels, clock } = await testExecutor({}, { startMs: 100 });
    const first = record(executor, task("a"));
    await clock.advance(100);
    channels.calls[0]?.answer("one");
    const second = record(executor, task("a"));
    channels.calls[0]?.answer("two");
    await settle();
    expect(driver.started).toHaveLength(1);
    expect([first.text, first.placement?.start]).toEqual(["one", "cold"]);
    expect([second.text, second.placement?.start]).toEqual(["two", "warm"]);
  });

  test("M5: one image with two sizes gets two sandboxes", async () => {
    const { executor, driver, clock } = await testExecutor();
    record(executor, task("a", 1));
    record(executor, task("a", 0.5));
    await clock.advance(1);
    expect(driver.started.map((spec) => spec.task.resources.cpuMillis)).toEqual([1000, 500]);
  });

  test("callers of one key share one start", async () => {
    const { executor, driver, channels, clock } = await testExecutor({}, { startMs: 100 });
    const calls = Array.from({ length: 10 }, () => record(executor, task("a")));
    await clock.advance(100);
    expect(driver.started).toHaveLength(1);
    for (const call of [...channels.calls]) call.answer();
    expect(calls.every((call) => call.ends === 1 && call.error === undefined)).toBe(true);
  });

  test("a key gets a second sandbox when the slots of the first are full, and no more than it may have", async () => {
    const { executor, driver, clock } = await testExecutor({ slotsPerSandbox: 2, sandboxesPerTask: 2 });
    const calls = Array.from({ length: 5 }, () => record(executor, task("a")));
    await clock.advance(1);
    expect(driver.started).toHaveLength(2);
    expect(calls.filter((call) => call.placement !== undefined)).toHaveLength(4);
    expect(executor.waiting()[0]?.reason).toBe("all slots of its sandboxes are taken");
  });

  test("a slow start delays no warm call and no other start", async () => {
    const { executor, driver, channels, clock } = await testExecutor({}, { startMs: 10 });
    driver.script("start", "hang");
    const slow = record(executor, task("slow"));
    const other = record(executor, task("other"));
    await clock.advance(10);
    channels.calls[0]?.answer();
    expect(other.ends).toBe(1);
    expect(slow.ends).toBe(0);
    await clock.advance(66_000);
    expect(slow.error).toMatchObject({ code: "START_TIMEOUT" });
  });

  test("a task that is above the limit is refused at once and starts nothing", async () => {
    const { executor, driver } = await testExecutor();
    const call = record(executor, task("a", 4.1));
    expect(call.ends).toBe(0);
    await settle();
    expect(call.error).toMatchObject({ code: "RESOURCES_EXCEED_LIMIT", facts: { field: "resource.cpu" } });
    expect(driver.resolved).toEqual([]);
  });

  test("classes that the driver does not reach are refused with what is there", async () => {
    const { executor } = await testExecutor();
    const call = record(executor, { ...task("a"), isolation: "gvisor" });
    const sgx = record(executor, { ...task("a"), sgx: true });
    const gpu = record(executor, { ...task("a"), resources: { ...task("a").resources, gpuCount: 1 } });
    await settle();
    expect(call.error).toMatchObject({ code: "ISOLATION_UNAVAILABLE", facts: { offered: ["container"] } });
    expect(sgx.error).toMatchObject({ code: "SGX_UNAVAILABLE" });
    expect(gpu.error).toMatchObject({ code: "GPU_UNAVAILABLE", facts: { field: "gpu_count" } });
  });

  test("a failed start tells every caller, gives the room back and leaves nothing", async () => {
    const { executor, driver, clock } = await testExecutor();
    driver.script("start", "reject");
    const calls = [record(executor, task("a")), record(executor, task("a"))];
    await clock.advance(10);
    expect(calls.map((call) => call.error)).toMatchObject([
      { code: "SANDBOX_START_FAILED" },
      { code: "SANDBOX_START_FAILED" },
    ]);
    expect(executor.view().reserved).toEqual(NO_RESOURCES);
    expect(driver.live.size).toBe(0);
  });

  test("D12: a task that fails at every start is tried at most eight times a minute", async () => {
    const { executor, driver, clock } = await testExecutor();
    driver.script("start", ...Array.from({ length: 100 }, () => "reject" as const));
    const errors: unknown[] = [];
    for (let at = 0; at < 100; at += 1) {
      const call = record(executor, task("a"));
      await clock.advance(600);
      errors.push(call.error);
    }
    expect(driver.started.length).toBeLessThanOrEqual(8);
    expect(errors.every((error) => error instanceof Error)).toBe(true);
    expect(errors.at(-1)).toMatchObject({ code: "START_BACKOFF" });
  });

  test("what is not there is said each time, with its own code: nobody is told to try later", async () => {
    const { executor, driver, clock } = await testExecutor();
    driver.missing.add("a");
    const codes: string[] = [];
    for (let at = 0; at < 10; at += 1) {
      const call = record(executor, task("a"));
      await clock.advance(100);
      codes.push((call.error as ExecutorError).code);
    }
    expect(codes).toEqual(codes.map(() => "IMAGE_NOT_FOUND"));
    // Its registry is asked ever more seldom all the same.
    expect(driver.resolved.length).toBeLessThanOrEqual(3);
  });

  test("C1: an engine that is away is not held against a task: it starts at once when the engine is back", async () => {
    const { executor, driver, clock } = await testExecutor();
    driver.script("resolve", ...Array.from({ length: 10 }, () => "reject" as const));
    for (let at = 0; at < 10; at += 1) {
      const call = record(executor, task("a"));
      await clock.advance(10);
      expect(call.error).toMatchObject({ code: "ENGINE_FAILED" });
    }
    const call = record(executor, task("a"));
    await clock.advance(10);
    expect(call.placement?.start).toBe("cold");
  });

  test("an unknown image is an error for its callers only", async () => {
    const { executor, driver, clock } = await testExecutor();
    driver.missing.add("nope");
    const call = record(executor, task("nope"));
    await clock.advance(1);
    expect(call.error).toMatchObject({ code: "IMAGE_NOT_FOUND", facts: { image: "nope" } });
    expect(executor.view()).toMatchObject({ reserved: NO_RESOURCES, sandboxes: 0, waiting: 0 });
  });

  test("one that finds its warm server unreachable is placed again in a new one, since nothing was sent", async () => {
    const { executor, driver, channels, clock } = await testExecutor();
    record(executor, task("a"));
    await clock.advance(1);
    channels.calls[0]?.answer();
    channels.unreachable.add("s1");
    const call = record(executor, task("a"));
    await clock.advance(1);
    channels.calls[0]?.answer("from the new one");
    expect(call.text).toBe("from the new one");
    expect([call.placement?.sandboxId, call.placement?.start]).toEqual(["s2", "cold"]);
    expect(driver.started).toHaveLength(2);
    expect(driver.live.size).toBe(1);
  });

  test("a call that is cut off by its sandbox's end says why it ended", async () => {
    const { executor, driver, channels, clock } = await testExecutor();
    const call = record(executor, task("a"));
    await clock.advance(1);
    const { ExecutorError } = await import("../core/index.ts");
    channels.calls[0]?.fail(new ExecutorError("TASK_EXITED"));
    [...driver.live][0]?.die({ type: "memory", limitBytes: 99 });
    await clock.advance(1);
    expect(call.error).toMatchObject({ code: "TASK_OUT_OF_MEMORY", facts: { limitBytes: 99 } });
    expect(executor.view().sandboxes).toBe(0);
  });

  test("a call past its deadline ends, and its sandbox is given up", async () => {
    const { executor, driver, clock } = await testExecutor({ runTimeoutMs: 5_000 });
    const call = record(executor, task("a"));
    await clock.advance(5_500);
    expect(call.error).toMatchObject({ code: "RUN_TIMEOUT" });
    expect(driver.live.size).toBe(0);
  });
});

describe("a caller who goes away", () => {
  test("while waiting is dropped from the line", async () => {
    const { executor, clock } = await testExecutor({ cpuMillis: 1000 });
    record(executor, task("a"));
    await clock.advance(1);
    const waiting = record(executor, task("b"));
    await clock.advance(1);
    waiting.cancel();
    expect(executor.view().waiting).toBe(0);
    expect(waiting.ends).toBe(0);
  });

  test("while running leaves the work to finish when the setting says so", async () => {
    const { executor, channels, clock } = await testExecutor();
    const call = record(executor, task("a"));
    await clock.advance(1);
    call.cancel();
    expect(executor.view().running).toBe(1);
    channels.calls[0]?.answer();
    expect(executor.view()).toMatchObject({ running: 0, sandboxes: 1 });
    expect(call.ends).toBe(0);
  });

  test("while running takes the sandbox with it when the setting says so", async () => {
    const { executor, driver, clock } = await testExecutor({ onDisconnect: "cancel" });
    const call = record(executor, task("a"));
    await clock.advance(1);
    call.cancel();
    await clock.advance(1);
    expect(driver.live.size).toBe(0);
  });

  test("of a stream closes the connection and keeps the sandbox", async () => {
    const { executor, driver, channels, clock } = await testExecutor({ onDisconnect: "cancel" });
    const call = record(executor, task("a"), { onCancel: "close" });
    await clock.advance(1);
    call.cancel();
    await clock.advance(1);
    expect(channels.calls).toHaveLength(0);
    expect(driver.live.size).toBe(1);
    expect(executor.view().running).toBe(0);
  });
});

describe("idle time", () => {
  test("M11: a sandbox goes after the timeout, counted from the end of its last call", async () => {
    const { executor, driver, channels, clock } = await testExecutor({ idleTimeoutMs: 60_000 });
    record(executor, task("a"));
    await clock.advance(120_000);
    expect(driver.live.size).toBe(1);
    channels.calls[0]?.answer();
    await clock.advance(59_900);
    expect(driver.live.size).toBe(1);
    await clock.advance(400);
    expect(driver.live.size).toBe(0);
    expect(executor.view().reserved).toEqual(NO_RESOURCES);
  });

  test("nothing ticks in an idle executor", async () => {
    const { executor, channels, clock } = await testExecutor();
    record(executor, task("a"));
    await clock.advance(1);
    channels.calls[0]?.answer();
    await clock.advance(1_000);
    expect(clock.pendingTimers).toBe(1);
    expect(executor.view().running).toBe(0);
  });
});

/** Fills the executor with idle sandboxes, in this order. */
async function fill(
  parts: Awaited<ReturnType<typeof testExecutor>>,
  ...tasks: ReturnType<typeof task>[]
): Promise<void> {
  for (const one of tasks) {
    record(parts.executor, one);
    await parts.clock.advance(10);
    parts.channels.calls[0]?.answer();
    await settle();
  }
}

describe("shortage", () => {
  test("M12: of memory evicts exactly enough idle sandboxes, the longest unused first", async () => {
    const parts = await testExecutor({ memoryBytes: 400 * 1_048_576 });
    await fill(parts, task("a", 1, 100), task("b", 1, 100), task("c", 1, 100));
    const call = record(parts.executor, task("d", 1, 200));
    await parts.clock.advance(10);
    parts.channels.calls[0]?.answer("d");
    expect(call.text).toBe("d");
    expect([...parts.driver.live].map((sandbox) => sandbox.task.image)).toEqual(["b", "c", "d"]);
  });

  test("M12: of CPU only freezes idle sandboxes, and a frozen one answers its next call", async () => {
    const parts = await testExecutor({ cpuMillis: 2000 });
    await fill(parts, task("a"), task("b"));
    record(parts.executor, task("c"));
    await parts.clock.advance(10);
    parts.channels.calls[0]?.answer();
    const tiers = () => parts.executor.sandboxes().map((view) => [view.task.image, view.tier]);
    expect(tiers()).toEqual([
      ["a", "frozen"],
      ["b", "hot"],
      ["c", "hot"],
    ]);
    const again = record(parts.executor, task("a"));
    await parts.clock.advance(10);
    expect(again.placement?.start).toBe("thawed");
    parts.channels.calls[0]?.answer("awake");
    expect(again.text).toBe("awake");
    expect(tiers()).toEqual([
      ["a", "hot"],
      ["b", "frozen"],
      ["c", "hot"],
    ]);
    expect(parts.driver.started).toHaveLength(3);
  });

  test("M12: leaves the busy one alone", async () => {
    const parts = await testExecutor({ memoryBytes: 300 * 1_048_576 });
    await fill(parts, task("a", 1, 100));
    const busy = record(parts.executor, task("b", 1, 100));
    await parts.clock.advance(10);
    record(parts.executor, task("d", 1, 200));
    await parts.clock.advance(10);
    expect([...parts.driver.live].map((sandbox) => sandbox.task.image)).toEqual(["b", "d"]);
    parts.channels.calls[0]?.answer("b answers");
    expect(busy.text).toBe("b answers");
    await settle();
    expect(parts.executor.sandboxes().map((view) => view.task.image)).toEqual(["b", "d"]);
  });

  test("M12: a big task is not starved by a stream of small ones that never lets their sandbox fall idle", async () => {
    const parts = await testExecutor({ cpuMillis: 2000, passOverMs: 2_000, queueTimeoutMs: 30_000 });
    parts.channels.runMs = 300;
    const small: ReturnType<typeof record>[] = [];
    let big: ReturnType<typeof record> | undefined;
    for (let at = 0; at < 100; at += 1) {
      small.push(record(parts.executor, task("small")));
      if (at === 10) big = record(parts.executor, task("big", 2));
      await parts.clock.advance(100);
    }
    await parts.clock.advance(5_000);
    expect(big?.error).toBeUndefined();
    expect(big?.text).toBe("ok");
    expect(small.every((call) => call.ends === 1 && call.error === undefined)).toBe(true);
  });

  test("a small task may pass a big one that has not waited long", async () => {
    const parts = await testExecutor({ cpuMillis: 2000 });
    record(parts.executor, task("busy"));
    await parts.clock.advance(10);
    const big = record(parts.executor, task("big", 2));
    await parts.clock.advance(100);
    const small = record(parts.executor, task("small"));
    await parts.clock.advance(100);
    expect(small.placement).toBeDefined();
    expect(big.placement).toBeUndefined();
  });

  test("a request that finds no room in time says what it waited for", async () => {
    const parts = await testExecutor({ cpuMillis: 1000, queueTimeoutMs: 5_000 });
    record(parts.executor, task("busy"));
    await parts.clock.advance(10);
    const late = record(parts.executor, task("late"));
    await parts.clock.advance(5_500);
    expect(late.error).toMatchObject({ code: "QUEUE_TIMEOUT" });
    expect(late.error?.message).toContain("other tasks hold");
  });

  test("the queue is bounded", async () => {
    const parts = await testExecutor({ cpuMillis: 1000, queueLimit: 3 });
    record(parts.executor, task("busy"));
    await parts.clock.advance(10);
    const waiting = Array.from({ length: 5 }, () => record(parts.executor, task("b")));
    await parts.clock.advance(10);
    expect(waiting.filter((call) => call.error !== undefined)).toHaveLength(2);
    expect(waiting.at(-1)?.error).toMatchObject({ code: "QUEUE_FULL" });
  });

  test("a sandbox that will not freeze is removed instead, and the caller still gets its room", async () => {
    const parts = await testExecutor({ cpuMillis: 1000 });
    await fill(parts, task("a"));
    parts.driver.script("freeze", "reject");
    const call = record(parts.executor, task("b"));
    await parts.clock.advance(10);
    expect(call.placement).toBeDefined();
    expect([...parts.driver.live].map((sandbox) => sandbox.task.image)).toEqual(["b"]);
  });

  test("C13: a sandbox that cannot be removed keeps its reservation until it is gone", async () => {
    const parts = await testExecutor({ memoryBytes: 128 * 1_048_576, queueTimeoutMs: 60_000 });
    await fill(parts, task("a"));
    parts.driver.script("stop", "reject", "reject", "reject");
    const call = record(parts.executor, task("b"));
    await parts.clock.advance(100);
    expect(call.placement).toBeUndefined();
    expect(parts.executor.view().reserved.memoryBytes).toBe(128 * 1_048_576);
    await parts.clock.advance(5_000);
    expect(call.placement).toBeDefined();
  });
});

describe("control", () => {
  test("M14: pause refuses at once, lets running calls finish and counts them, and removes warm sandboxes", async () => {
    const parts = await testExecutor({ pauseWaitMs: 1_000, cpuMillis: 2000 });
    await fill(parts, task("warm"));
    const running = record(parts.executor, task("busy"));
    await parts.clock.advance(10);
    const paused = parts.executor.pause();
    const refused = record(parts.executor, task("warm"));
    await settle();
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
});

function executorIsEmpty(parts: Awaited<ReturnType<typeof testExecutor>>): boolean {
  const view = parts.executor.view();
  return view.running === 0 && view.sandboxes === 0 && view.reserved.memoryBytes === 0;
}
