import { describe, expect, test } from "vitest";
import { fill, record, task, testExecutor } from "../../test/support/test-executor.ts";
import { settle } from "../../test/support/virtual-clock.ts";
import { NO_RESOURCES } from "../core/index.ts";

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
