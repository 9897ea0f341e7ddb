import { describe, expect, test } from "vitest";
import { card, FakeGpus, GIBIBYTE } from "../../test/support/fake-gpus.ts";
import type { TestExecutor } from "../../test/support/test-executor.ts";
import { gpuTask, record, task, testExecutor } from "../../test/support/test-executor.ts";
import { settle } from "../../test/support/virtual-clock.ts";
import type { GpuMonitor, Leftover, Settings } from "../core/index.ts";
import { asId, ExecutorError, NO_GPUS } from "../core/index.ts";
import type { FakeDriver } from "../drivers/fake/fake-driver.ts";

const IN_USE = { computePercent: 60, memoryUsedBytes: 8 * GIBIBYTE };
const UNUSED = { computePercent: 0, memoryUsedBytes: 0 };
/** In MB, as a wish names it. */
const TEN_GIB = 10 * 1024;

function withGpus(
  gpus: GpuMonitor,
  settings: Partial<Settings> = {},
  prepare?: (driver: FakeDriver) => void,
): Promise<TestExecutor> {
  return testExecutor({ hasGpu: true, ...settings }, {}, prepare, undefined, gpus);
}

/** The cards of everything that exists, by the image that it runs. */
function cardsByImage({ driver }: TestExecutor): Record<string, readonly string[]> {
  const live = new Set([...driver.live].map((sandbox) => sandbox.id));
  const specs = driver.started.filter((spec) => live.has(spec.sandboxId));
  return Object.fromEntries(specs.map((spec) => [spec.task.image, spec.gpuIds]));
}

/** Calls a task and answers: it stays warm and idle. */
async function warm(parts: TestExecutor, spec: ReturnType<typeof gpuTask>): Promise<void> {
  record(parts.executor, spec);
  await parts.clock.advance(1);
  parts.channels.calls.at(-1)?.answer();
  await parts.clock.advance(1);
}

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

describe("a monitor in trouble", () => {
  test("M24: where it is missing, work without GPUs is untouched and GPU work is refused", async () => {
    const { executor, clock } = await withGpus(NO_GPUS);
    const calls = [record(executor, task("plain")), record(executor, gpuTask("a"))];
    await clock.advance(1);
    expect(calls[0]?.placement).toBeDefined();
    expect(calls[1]?.error).toMatchObject({ code: "GPU_UNAVAILABLE", facts: { offered: 0 } });
  });

  test("M24: while it fails no card is handed out, what holds cards goes on, and after it all is as before", async () => {
    const gpus = new FakeGpus([card(0), card(1)]);
    const parts = await withGpus(gpus);
    const { executor, clock, channels } = parts;
    record(executor, gpuTask("held"));
    await clock.advance(1);
    gpus.fail("the driver does not answer");
    const plain = record(executor, task("plain"));
    const fresh = record(executor, gpuTask("fresh"));
    await clock.advance(1);
    expect(plain.placement).toBeDefined();
    expect(fresh.error).toMatchObject({ code: "GPU_UNAVAILABLE", facts: { offered: 0 } });
    expect(fresh.error?.message).toContain("the driver does not answer");
    expect(executor.view()).toMatchObject({ capacity: { gpuCount: 0 }, reserved: { gpuCount: 1 } });
    channels.calls[0]?.answer();
    const warmCall = record(executor, gpuTask("held"));
    await clock.advance(1);
    expect(warmCall.placement?.start).toBe("warm");
    gpus.heal();
    const again = record(executor, gpuTask("again"));
    await clock.advance(1);
    expect(cardsByImage(parts)).toMatchObject({ held: ["GPU-0"], again: ["GPU-1"] });
    expect(again.placement).toBeDefined();
  });

  test("M24: one that only coughs does not refuse those who wait", async () => {
    const gpus = new FakeGpus([card(0, IN_USE)]);
    const { executor, clock } = await withGpus(gpus);
    const call = record(executor, gpuTask("a"));
    await clock.advance(1_000);
    gpus.fail("no answer in time");
    await clock.advance(1_000);
    expect(executor.waiting()[0]?.reason).toContain("no answer in time");
    gpus.heal();
    gpus.change(0, UNUSED);
    await clock.advance(1);
    expect(call.placement).toBeDefined();
  });

  test("before the first reading a wish waits for it, and is refused if it was too much", async () => {
    const gpus = new FakeGpus([]);
    gpus.source = "none";
    const { executor, clock } = await withGpus(gpus);
    const calls = [record(executor, gpuTask("a")), record(executor, gpuTask("b", 2))];
    await clock.advance(1);
    expect(executor.waiting()[0]?.reason).toBe("the GPUs of this host have not been read yet");
    gpus.source = "nvml";
    gpus.read([card(0)]);
    await clock.advance(1);
    expect(calls[0]?.placement).toBeDefined();
    expect(calls[1]?.error).toMatchObject({ code: "GPU_UNAVAILABLE", facts: { asked: 2, offered: 1 } });
  });

  test("a sandbox whose card breaks takes no more calls: an idle one goes, a busy one ends its calls first", async () => {
    const gpus = new FakeGpus([card(0), card(1), card(2)]);
    const parts = await withGpus(gpus);
    await warm(parts, gpuTask("idle"));
    const busy = record(parts.executor, gpuTask("busy"));
    await parts.clock.advance(1);
    const health = { isHealthy: false, reason: "XID 79" } as const;
    gpus.read([card(0, { health }), card(1, { health }), card(2)]);
    await parts.clock.advance(50);
    expect(cardsByImage(parts)).toEqual({ busy: ["GPU-1"] });
    const next = record(parts.executor, gpuTask("busy"));
    await parts.clock.advance(50);
    expect(next.placement?.sandboxId).not.toBe(busy.placement?.sandboxId);
    parts.channels.calls[0]?.answer();
    await parts.clock.advance(50);
    expect(busy).toMatchObject({ ends: 1, error: undefined });
    expect(cardsByImage(parts)).toEqual({ busy: ["GPU-2"] });
  });

  test("a card that vanishes stays booked until its holder ends, leaves the capacity, and is handed to nobody", async () => {
    const gpus = new FakeGpus([card(0), card(1)]);
    const parts = await withGpus(gpus);
    const { executor, clock, channels, driver } = parts;
    record(executor, gpuTask("a"));
    await clock.advance(1);
    gpus.read([card(1)]);
    expect(executor.view()).toMatchObject({ capacity: { gpuCount: 1 }, reserved: { gpuCount: 1 } });
    record(executor, gpuTask("b"));
    await clock.advance(1);
    expect(cardsByImage(parts)).toEqual({ a: ["GPU-0"], b: ["GPU-1"] });
    const tooMuch = record(executor, gpuTask("c", 2));
    gpus.read([card(0), card(1)]);
    const waits = record(executor, gpuTask("d"));
    await clock.advance(1);
    expect([tooMuch.ends, waits.placement]).toEqual([1, undefined]);
    channels.calls[0]?.answer();
    await clock.advance(1);
    expect(cardsByImage(parts)).toEqual({ b: ["GPU-1"], d: ["GPU-0"] });
    expect(driver.live.size).toBe(2);
  });
});

describe("room for a card", () => {
  test("M12, M23: an idle holder of the card goes, the cheapest one and no other, and no sandbox without cards", async () => {
    const parts = await withGpus(new FakeGpus([card(0), card(1)]));
    await warm(parts, task("plain", 0.1, 16));
    await warm(parts, gpuTask("old"));
    await warm(parts, gpuTask("young"));
    record(parts.executor, gpuTask("new"));
    await parts.clock.advance(1);
    expect(Object.keys(cardsByImage(parts))).toEqual(["plain", "young", "new"]);
  });

  test("a card that was just let go of may still read busy: it is waited for, and nobody else loses a sandbox for it", async () => {
    const gpus = new FakeGpus([card(0), card(1)]);
    const parts = await withGpus(gpus);
    const { executor, clock } = parts;
    await warm(parts, gpuTask("old"));
    await warm(parts, gpuTask("young"));
    gpus.read([card(0, IN_USE), card(1, IN_USE)]);
    const call = record(executor, gpuTask("new"));
    await clock.advance(1_500);
    expect([call.placement, Object.keys(cardsByImage(parts))]).toEqual([undefined, ["young"]]);
    gpus.change(0, UNUSED);
    await clock.advance(1);
    expect(cardsByImage(parts)).toEqual({ young: ["GPU-1"], new: ["GPU-0"] });
    expect(executor.view().gpus[0]?.holders).toHaveLength(1);
  });

  test("a card that still reads busy when its time to settle is over is a stranger's, and another one is made free", async () => {
    const gpus = new FakeGpus([card(0), card(1)]);
    const parts = await withGpus(gpus);
    await warm(parts, gpuTask("old"));
    await warm(parts, gpuTask("young"));
    gpus.read([card(0, IN_USE), card(1)]);
    const call = record(parts.executor, gpuTask("new"));
    await parts.clock.advance(2_900);
    expect(call.placement).toBeUndefined();
    await parts.clock.advance(200);
    expect(cardsByImage(parts)).toEqual({ new: ["GPU-1"] });
    expect(parts.executor.view().gpus.map((one) => one.isBusyOutside)).toEqual([true, false]);
  });

  test("two demands whose room is being made are never promised one card", async () => {
    const parts = await testExecutor(
      { hasGpu: true },
      { stopMs: 500 },
      undefined,
      undefined,
      new FakeGpus([card(0), card(1)]),
    );
    await warm(parts, gpuTask("a"));
    await warm(parts, gpuTask("b"));
    const calls = [record(parts.executor, gpuTask("c")), record(parts.executor, gpuTask("d"))];
    await parts.clock.advance(600);
    expect(calls.map((call) => call.placement?.start)).toEqual(["cold", "cold"]);
    expect(new Set(Object.values(cardsByImage(parts)).flat()).size).toBe(2);
  });

  test("a frozen sandbox keeps its card: its data are on it", async () => {
    const parts = await withGpus(new FakeGpus([card(0)]), { cpuMillis: 1_000 });
    await warm(parts, gpuTask("frozen"));
    record(parts.executor, task("cpu", 1, 16));
    await parts.clock.advance(1);
    expect(parts.executor.sandboxes()[0]).toMatchObject({
      tier: "frozen",
      gpuIds: ["GPU-0"],
      reserved: { cpuMillis: 0, gpuCount: 1 },
    });
    expect(parts.executor.view().gpus[0]?.holders).toHaveLength(1);
  });

  test("M29: exactly the cards of a sandbox of an earlier life are booked, before the first reading and after", async () => {
    const leftover = (image: string, gpuIds: string[]): Leftover => ({
      sandboxId: asId<"sandbox">(`left-${image}`),
      task: gpuTask(image, gpuIds.length),
      imageDigest: `sha256:${image}`,
      gpuIds,
      isFrozen: false,
      adopt: () => new Promise(() => undefined),
      reap: () => Promise.resolve(),
    });
    const gpus = new FakeGpus([]);
    const parts = await withGpus(gpus, {}, (driver) => {
      driver.leftoverSandboxes = [leftover("a", ["GPU-2"]), leftover("b", ["GPU-0", "GPU-3"])];
    });
    gpus.read([card(0), card(1), card(2), card(3)]);
    expect(parts.executor.view().gpus.map((one) => one.holders.map((held) => held.sandboxId))).toEqual([
      ["left-b"],
      [],
      ["left-a"],
      ["left-b"],
    ]);
    record(parts.executor, gpuTask("new"));
    await parts.clock.advance(1);
    expect(cardsByImage(parts)).toEqual({ new: ["GPU-1"] });
  });
});

describe("shares of a card", () => {
  test("where the operator allows it, tasks share a card up to its memory, and a whole card is waited for by itself", async () => {
    const parts = await withGpus(new FakeGpus([card(0)]), { sharesGpus: true, passOverMs: 0 });
    const { executor, clock, channels } = parts;
    const two = [gpuTask("a", 1, TEN_GIB), gpuTask("b", 1, TEN_GIB)].map((one) => record(executor, one));
    const third = record(executor, gpuTask("c", 1, TEN_GIB));
    await clock.advance(1);
    expect(two.every((call) => call.placement !== undefined)).toBe(true);
    expect(third.placement).toBeUndefined();
    expect(executor.view()).toMatchObject({ reserved: { gpuCount: 1 }, gpus: [{ holders: [{}, {}] }] });
    channels.calls[0]?.answer();
    await clock.advance(1);
    expect(Object.keys(cardsByImage(parts))).toEqual(["b", "c"]);
    const whole = record(executor, gpuTask("whole"));
    channels.calls[0]?.answer();
    await clock.advance(1);
    expect([whole.placement, parts.driver.live.size]).toEqual([undefined, 2]);
    channels.calls[0]?.answer();
    await clock.advance(1);
    expect(cardsByImage(parts)).toEqual({ whole: ["GPU-0"] });
  });

  test("what a sharer really uses beyond its booking is not given away again", async () => {
    const gpus = new FakeGpus([card(0)]);
    const parts = await withGpus(gpus, { sharesGpus: true });
    record(parts.executor, gpuTask("a", 1, TEN_GIB));
    await parts.clock.advance(1);
    gpus.change(0, { memoryUsedBytes: 20 * GIBIBYTE });
    const call = record(parts.executor, gpuTask("b", 1, TEN_GIB));
    await parts.clock.advance(1);
    expect(call.placement).toBeUndefined();
    gpus.change(0, { memoryUsedBytes: 9 * GIBIBYTE });
    await parts.clock.advance(1);
    expect(call.placement).toBeDefined();
  });

  test("shares fill the fullest card that has room, so that others stay whole", async () => {
    const parts = await withGpus(new FakeGpus([card(0), card(1)]), { sharesGpus: true });
    record(parts.executor, gpuTask("a", 1, TEN_GIB));
    await parts.clock.advance(1);
    record(parts.executor, gpuTask("b", 1, TEN_GIB));
    record(parts.executor, gpuTask("whole"));
    await parts.clock.advance(1);
    expect(cardsByImage(parts)).toEqual({ a: ["GPU-0"], b: ["GPU-0"], whole: ["GPU-1"] });
  });

  test("where it is not allowed, a wish for memory gets whole cards that have it", async () => {
    const gpus = new FakeGpus([card(0, { memoryBytes: 8 * GIBIBYTE }), card(1), card(2)]);
    const parts = await withGpus(gpus);
    for (const image of ["a", "b"]) record(parts.executor, gpuTask(image, 1, TEN_GIB));
    await parts.clock.advance(1);
    expect(cardsByImage(parts)).toEqual({ a: ["GPU-1"], b: ["GPU-2"] });
    expect(parts.executor.view().gpus.map((one) => one.holders.map((held) => held.memoryBytes))).toEqual([
      [],
      [0],
      [0],
    ]);
  });

  test("one image with other memory of its card is another task", async () => {
    const parts = await withGpus(new FakeGpus([card(0)]), { sharesGpus: true });
    for (const memory of [1024, 2048]) record(parts.executor, gpuTask("a", 1, memory));
    await parts.clock.advance(1);
    expect(parts.driver.started).toHaveLength(2);
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
