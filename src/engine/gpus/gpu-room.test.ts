import { describe, expect, test } from "vitest";
import { card, FakeGpus, GIBIBYTE } from "../../../test/support/fake-gpus.ts";
import { cardsByImage, IN_USE, UNUSED, warm, withGpus } from "../../../test/support/gpu-executor.ts";
import { gpuTask, record, task, testExecutor } from "../../../test/support/test-executor.ts";
import type { Leftover } from "../../core/index.ts";
import { asId } from "../../core/index.ts";

/** In MB, as a wish names it. */
const TEN_GIB = 10 * 1024;

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
