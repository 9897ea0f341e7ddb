import { describe, expect, test } from "vitest";
import { card, FakeGpus, GIBIBYTE } from "../../../test/support/fake-gpus.ts";
import { cardsByImage, IN_USE, UNUSED, warm, withGpus } from "../../../test/support/gpu-executor.ts";
import { gpuTask, record, task, testExecutor } from "../../../test/support/test-executor.ts";
import { settle } from "../../../test/support/virtual-clock.ts";
import { asId, ExecutorError } from "../../core/index.ts";

describe("cards for tasks", () => {
  test("M23: each running task has exactly as many cards as it asked for, and no card has two tasks", async () => {
    const parts = await withGpus(new FakeGpus([card(0), card(1), card(2), card(3)]));
    const calls = [gpuTask("a"), gpuTask("b", 2), gpuTask("c")].map((one) => record(parts.executor, one));
    record(parts.executor, task("plain"));
    await settle();
    await parts.clock.advance(1);
    expect(calls.every((call) => call.placement !== undefined)).toBe(true);
    const cards = cardsByImage(parts);
    expect(["a", "b", "c", "plain"].map((image) => cards[image]?.length)).toEqual([1, 2, 1, 0]);
    expect(new Set(Object.values(cards).flat()).size).toBe(4);
    const { capacity, reserved, gpus } = parts.executor.view();
    expect([capacity.gpuCount, reserved.gpuCount]).toEqual([4, 4]);
    expect(gpus.map((one) => one.holders.length)).toEqual([1, 1, 1, 1]);
    expect(
      parts.executor.sandboxes().map((view) => [view.task.image, view.gpuIds, view.reserved.gpuCount]),
    ).toEqual(Object.entries(cards).map(([image, ids]) => [image, ids, ids.length]));
  });

  test("M23: of 200 asks at once for the last card one gets it; the others wait, are refused by name, or get it next", async () => {
    const parts = await withGpus(new FakeGpus([card(0), card(1)]), { queueLimit: 150, passOverMs: 0 });
    const { executor, clock, channels, driver } = parts;
    record(executor, gpuTask("holder"));
    await clock.advance(1);
    const asks = Array.from({ length: 200 }, (_, at) => record(executor, gpuTask(`ask-${at}`)));
    await clock.advance(1);
    const placed = (): readonly unknown[] => asks.filter((ask) => ask.placement !== undefined);
    expect(placed()).toHaveLength(1);
    expect(Object.values(cardsByImage(parts)).map((ids) => ids.length)).toEqual([1, 1]);
    const refused = asks.filter((ask) => ask.error !== undefined);
    expect(refused.map((ask) => ask.error instanceof ExecutorError && ask.error.code)).toEqual(
      refused.map(() => "QUEUE_FULL"),
    );
    expect(refused.length).toBeGreaterThanOrEqual(49);
    expect(executor.waiting()[0]?.reason).toBe("other tasks hold the GPUs that it needs");
    // Each that ends makes way for the next one, and never for two.
    for (let round = 2; round <= 20; round += 1) {
      channels.calls.at(-1)?.answer();
      await clock.advance(10);
      expect(placed()).toHaveLength(round);
      const cards = Object.values(cardsByImage(parts)).flat();
      expect(new Set(cards).size).toBe(cards.length);
      expect(driver.live.size).toBe(2);
    }
  });

  test("M23: 200 callers of one task share its one card", async () => {
    const parts = await withGpus(new FakeGpus([card(0)]), { slotsPerSandbox: 200 });
    const asks = Array.from({ length: 200 }, () => record(parts.executor, gpuTask("a")));
    await parts.clock.advance(1);
    expect(asks.every((ask) => ask.placement !== undefined)).toBe(true);
    expect(cardsByImage(parts)).toEqual({ a: ["GPU-0"] });
  });

  test("defect 7: a wish above what is present is refused at once and names both numbers; busy cards count as present", async () => {
    const gpus = new FakeGpus([
      card(0),
      card(1, IN_USE),
      card(2, { health: { isHealthy: false, reason: "XID 79" } }),
    ]);
    const { executor, driver, clock } = await withGpus(gpus);
    const three = record(executor, gpuTask("three", 3));
    const two = record(executor, gpuTask("two", 2));
    await clock.advance(1);
    expect(three.error).toMatchObject({
      code: "GPU_UNAVAILABLE",
      facts: { field: "gpu_count", asked: 3, offered: 2 },
    });
    expect([two.ends, driver.started.length, executor.waiting()[0]?.reason]).toEqual([
      0,
      0,
      "programs outside of this executor use the GPUs that it needs",
    ]);
    const big = record(executor, gpuTask("big", 1, 25 * 1024));
    await settle();
    expect(big.error).toMatchObject({
      code: "GPU_UNAVAILABLE",
      facts: { field: "gpu_mem", asked: 25_600, offered: 24_576 },
    });
  });

  test("where GPUs are off, the refusal says how they are turned on", async () => {
    const { executor } = await withGpus(new FakeGpus([card(0)]), { hasGpu: false });
    const call = record(executor, gpuTask("a"));
    await settle();
    expect(call.error).toMatchObject({ code: "GPU_UNAVAILABLE", facts: { asked: 1, offered: 0 } });
    expect(call.error?.message).toContain("has_gpu");
    expect(executor.view()).toMatchObject({ gpus: [], gpuModel: "", capacity: { gpuCount: 0 } });
  });

  test("the model names every kind of card once", async () => {
    const gpus = new FakeGpus([card(0), card(1, { model: "Other 80G" }), card(2)]);
    const { executor } = await withGpus(gpus);
    expect(executor.view().gpuModel).toBe("Test 24G, Other 80G");
  });
});

describe("use from outside", () => {
  test("M24: a card made busy from outside is not handed out from the next reading on, and is again when it reads free", async () => {
    const gpus = new FakeGpus([card(0), card(1)]);
    const parts = await withGpus(gpus);
    gpus.change(0, { computePercent: 11 });
    record(parts.executor, gpuTask("a"));
    await parts.clock.advance(1);
    expect(cardsByImage(parts)).toEqual({ a: ["GPU-1"] });
    const waits = record(parts.executor, gpuTask("b"));
    await parts.clock.advance(3_000);
    expect(waits.ends + parts.driver.started.length).toBe(1);
    expect(parts.executor.view().gpus.map((one) => one.isBusyOutside)).toEqual([true, false]);
    gpus.change(0, { computePercent: 10 });
    await parts.clock.advance(1);
    expect(cardsByImage(parts)["b"]).toEqual(["GPU-0"]);
  });

  test("M24: memory in use is use, and what our own task does with its card is not use from outside", async () => {
    const gpus = new FakeGpus([card(0, { memoryUsedBytes: 3 * GIBIBYTE })]);
    const parts = await withGpus(gpus);
    const call = record(parts.executor, gpuTask("a"));
    await parts.clock.advance(1);
    expect(call.placement).toBeUndefined();
    gpus.change(0, { memoryUsedBytes: GIBIBYTE });
    await parts.clock.advance(1);
    expect(call.placement?.start).toBe("cold");
    gpus.change(0, IN_USE);
    expect(parts.executor.view().gpus[0]).toMatchObject({
      isBusyOutside: false,
      holders: [{ memoryBytes: 0 }],
    });
  });

  test("M24: work without GPUs, and for other cards, goes on beside a demand that waits for strangers, however long", async () => {
    const gpus = new FakeGpus([card(0), card(1, IN_USE)]);
    const { executor, clock } = await withGpus(gpus, { passOverMs: 1_000, queueTimeoutMs: 60_000 });
    const both = record(executor, gpuTask("both", 2));
    await clock.advance(30_000);
    const others = [record(executor, task("plain")), record(executor, gpuTask("one"))];
    await clock.advance(1);
    expect(others.map((other) => other.placement?.start)).toEqual(["cold", "cold"]);
    await clock.advance(31_000);
    expect(both.error).toMatchObject({ code: "QUEUE_TIMEOUT" });
    expect(both.error?.message).toContain("programs outside");
  });

  test("once the strangers have left, the demand that waited longest is next, before a stream of smaller ones", async () => {
    const gpus = new FakeGpus([card(0), card(1, IN_USE)]);
    const parts = await withGpus(gpus, { passOverMs: 1_000, queueTimeoutMs: 600_000 });
    const { executor, clock, channels } = parts;
    const both = record(executor, gpuTask("both", 2));
    await clock.advance(5_000);
    gpus.change(1, UNUSED);
    for (let at = 0; at < 10 && both.placement === undefined; at += 1) {
      record(executor, gpuTask(`small-${at}`));
      await clock.advance(500);
      for (const call of [...channels.calls]) call.answer();
      await clock.advance(500);
    }
    expect(both.placement).toBeDefined();
  });

  test("M24: a limit of its own decides what counts as busy", async () => {
    const gpus = new FakeGpus([card(0, { computePercent: 30 })]);
    const { executor, clock } = await withGpus(gpus, { gpuBusyPercent: 30 });
    const call = record(executor, gpuTask("a"));
    await clock.advance(1);
    expect(call.placement).toBeDefined();
    expect(executor.view().gpus[0]?.isBusyOutside).toBe(false);
  });
});

describe("turning GPUs on and off while running", () => {
  test("defect 13: on, and requests work after the next reading; off, and idle holders go at once, busy ones after their call", async () => {
    const gpus = new FakeGpus([card(0), card(1)]);
    const parts = await withGpus(gpus, { hasGpu: false });
    const { executor, clock, channels, driver } = parts;
    executor.configure({ ...executor.settings(), hasGpu: true });
    expect(gpus.isEnabled).toBe(true);
    await warm(parts, gpuTask("idle"));
    record(executor, gpuTask("busy"));
    await clock.advance(1);
    const waits = record(executor, gpuTask("waits", 2));
    await clock.advance(1);
    await warm(parts, task("plain", 0.1, 16));
    executor.configure({ ...executor.settings(), hasGpu: false });
    await clock.advance(1);
    expect(waits.error).toMatchObject({ code: "GPU_UNAVAILABLE" });
    expect(Object.keys(cardsByImage(parts)).sort()).toEqual(["busy", "plain"]);
    const late = record(executor, gpuTask("busy"));
    await clock.advance(1);
    expect(late.error).toMatchObject({ code: "GPU_UNAVAILABLE" });
    channels.calls[0]?.answer();
    await clock.advance(1);
    expect([driver.live.size, executor.view().reserved.gpuCount, gpus.isEnabled]).toEqual([1, 0, false]);
    executor.configure({ ...executor.settings(), hasGpu: true });
    await warm(parts, gpuTask("idle"));
    expect(cardsByImage(parts)).toMatchObject({ idle: ["GPU-0"] });
  });

  test("off leaves what runs to its end, whatever else is configured meanwhile", async () => {
    const parts = await withGpus(new FakeGpus([card(0)]));
    const { executor, clock, channels, driver } = parts;
    const call = record(executor, gpuTask("busy"));
    await clock.advance(1);
    executor.configure({ ...executor.settings(), hasGpu: false });
    executor.configure({ ...executor.settings(), idleTimeoutMs: 30_000 });
    await clock.advance(1);
    expect(Object.keys(cardsByImage(parts))).toEqual(["busy"]);
    channels.calls[0]?.answer("whole");
    await clock.advance(1);
    expect([call.text, driver.live.size, executor.view().reserved.gpuCount]).toEqual(["whole", 0, 0]);
  });

  test("off also ends a start for GPU work that is under way, and its callers hear why", async () => {
    const gpus = new FakeGpus([card(0)]);
    const parts = await testExecutor({ hasGpu: true }, { startMs: 1_000 }, undefined, undefined, gpus);
    const call = record(parts.executor, gpuTask("a"));
    await parts.clock.advance(500);
    parts.executor.configure({ ...parts.executor.settings(), hasGpu: false });
    await parts.clock.advance(2_000);
    expect(call.error).toMatchObject({ code: "GPU_UNAVAILABLE" });
    expect([parts.driver.live.size, parts.executor.view().reserved.gpuCount]).toEqual([0, 0]);
  });

  test("sandboxes with cards of an earlier life go where GPUs are off", async () => {
    const reaped: string[] = [];
    const parts = await withGpus(new FakeGpus([card(0)]), { hasGpu: false }, (driver) => {
      driver.leftoverSandboxes = [
        {
          sandboxId: asId<"sandbox">("left"),
          task: gpuTask("a"),
          imageDigest: "sha256:a",
          gpuIds: ["GPU-0"],
          isFrozen: false,
          adopt: (signal) =>
            new Promise((_, reject) => {
              if (signal.aborted) reject(signal.reason as Error);
              signal.addEventListener("abort", () => reject(signal.reason as Error), { once: true });
            }),
          reap: async () => {
            reaped.push("left");
          },
        },
      ];
    });
    await parts.clock.advance(1);
    expect(reaped).toEqual(["left"]);
    expect(parts.executor.view()).toMatchObject({ sandboxes: 0, reserved: { gpuCount: 0 } });
  });

  test("the executor's end lets go of the monitor and of every timer", async () => {
    const gpus = new FakeGpus([card(0)]);
    const parts = await withGpus(gpus);
    await warm(parts, gpuTask("a"));
    gpus.change(0, IN_USE);
    const ending = parts.executor[Symbol.asyncDispose]();
    await parts.clock.advance(30_000);
    await ending;
    expect([gpus.listeners, parts.clock.pendingTimers]).toEqual([0, 0]);
  });
});
