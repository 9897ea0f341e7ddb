import * as fc from "fast-check";
import { expect, test } from "vitest";
import { card, FakeGpus, GIBIBYTE } from "../../../test/support/fake-gpus.ts";
import type { Recorded, TestExecutor } from "../../../test/support/test-executor.ts";
import { gpuTask, record, task, testExecutor } from "../../../test/support/test-executor.ts";
import type { GpuReading, SandboxSpec } from "../../core/index.ts";
import { NO_RESOURCES } from "../../core/index.ts";
import type { Executor } from "../executor.ts";

const CARDS = 4;
const ALL = Array.from({ length: CARDS }, (_, at) => card(at));

const step = fc.oneof(
  {
    weight: 10,
    arbitrary: fc.record({
      type: fc.constant("call" as const),
      image: fc.constantFrom("a", "b", "c", "d", "e", "f"),
      count: fc.constantFrom(0, 1, 1, 1, 2, 3, CARDS),
      memoryMib: fc.constantFrom(0, 0, 6_000, 12_000, 24_000),
    }),
  },
  { weight: 8, arbitrary: fc.record({ type: fc.constant("answer" as const), which: fc.nat(20) }) },
  { weight: 2, arbitrary: fc.record({ type: fc.constant("cancel" as const), which: fc.nat(20) }) },
  {
    weight: 5,
    arbitrary: fc.record({
      type: fc.constant("wait" as const),
      ms: fc.constantFrom(1, 50, 700, 2_500, 20_000),
    }),
  },
  {
    weight: 5,
    arbitrary: fc.record({
      type: fc.constant("read" as const),
      index: fc.nat(CARDS - 1),
      computePercent: fc.constantFrom(0, 0, 5, 90),
      usedGib: fc.constantFrom(0, 0, 1, 8, 20),
      isHealthy: fc.integer({ min: 0, max: 6 }).map((n) => n > 0),
    }),
  },
  { weight: 1, arbitrary: fc.record({ type: fc.constant("vanish" as const), index: fc.nat(CARDS - 1) }) },
  { weight: 1, arbitrary: fc.constant({ type: "fail" as const }) },
  { weight: 1, arbitrary: fc.constant({ type: "heal" as const }) },
  { weight: 1, arbitrary: fc.record({ type: fc.constant("gpus" as const), isOn: fc.boolean() }) },
  { weight: 1, arbitrary: fc.record({ type: fc.constant("share" as const), isOn: fc.boolean() }) },
  {
    weight: 1,
    arbitrary: fc.record({
      type: fc.constant("fault" as const),
      kind: fc.constantFrom<"start" | "freeze" | "stop">("start", "freeze", "stop"),
    }),
  },
  { weight: 1, arbitrary: fc.record({ type: fc.constant("die" as const), which: fc.nat(5) }) },
);
type Step = typeof step extends fc.Arbitrary<infer S> ? S : never;

/** What a schedule has done to the cards, and what was started on them against the rules. */
class World {
  readonly gpus = new FakeGpus(ALL);
  cards: readonly GpuReading[] = ALL;
  readonly wrongs: string[] = [];

  apply(one: Extract<Step, { type: "read" | "vanish" | "fail" | "heal" }>): void {
    if (one.type === "fail" || one.type === "heal") {
      this.gpus.trouble = one.type === "fail" ? "no answer" : undefined;
      this.#show(one.type === "heal" ? ALL : this.cards.map((each) => ({ ...each, health: SICK })));
    } else if (one.type === "vanish") this.#show(this.cards.filter(({ index }) => index !== one.index));
    else {
      const { index, computePercent, usedGib, isHealthy } = one;
      const health = isHealthy ? ({ isHealthy: true } as const) : SICK;
      const fresh = card(index, { computePercent, memoryUsedBytes: usedGib * GIBIBYTE, health });
      const rest = this.cards.filter((each) => each.index !== index);
      this.#show([...rest, fresh].sort((a, b) => a.index - b.index));
    }
  }

  #show(cards: readonly GpuReading[]): void {
    this.cards = cards;
    this.gpus.read(cards);
  }
}

const SICK = { isHealthy: false, reason: "XID 79" } as const;

/** M23 on what really exists: every sandbox that is not gone. */
function judge({ driver, executor }: TestExecutor, world: World): void {
  const specs = new Map(driver.started.map((spec) => [spec.sandboxId, spec]));
  const onCard = new Map<string, number[]>();
  for (const { id } of driver.live) {
    const spec = specs.get(id);
    expect(new Set(spec?.gpuIds).size).toBe(spec?.task.resources.gpuCount);
    for (const gpuId of spec?.gpuIds ?? []) {
      const booked = executor
        .view()
        .gpus.find((one) => one.id === gpuId)
        ?.holders.find((one) => one.sandboxId === id);
      // A card that is not shown now still counts as whole: nothing may be beside it.
      onCard.set(gpuId, [...(onCard.get(gpuId) ?? []), booked?.memoryBytes ?? 0]);
    }
  }
  const shown = new Set(executor.view().gpus.map((one) => one.id));
  for (const [gpuId, booked] of onCard) {
    if (!shown.has(gpuId)) continue;
    if (booked.includes(0)) expect(booked).toHaveLength(1);
    expect(booked.reduce((sum, bytes) => sum + bytes, 0)).toBeLessThanOrEqual(24 * GIBIBYTE);
  }
  expect(onCard.size).toBeLessThanOrEqual(executor.view().reserved.gpuCount);
  expect(world.wrongs).toEqual([]);
}

/** M24 at the moment of a start: its cards are shown and healthy, and used by nobody else unless they are shared. */
function judgeStart(world: World, executor: Executor, spec: SandboxSpec): void {
  for (const gpuId of spec.gpuIds) {
    const reading = world.cards.find((each) => each.id === gpuId);
    const isBusy =
      reading !== undefined && (reading.computePercent > 10 || reading.memoryUsedBytes > 2.4 * GIBIBYTE);
    const holders = executor.view().gpus.find((one) => one.id === gpuId)?.holders ?? [];
    const isShared = holders.some((one) => one.sandboxId !== spec.sandboxId);
    if (reading?.health.isHealthy !== true || (isBusy && !isShared)) {
      world.wrongs.push(`${spec.task.image} was given ${gpuId}: ${JSON.stringify(reading)}`);
    }
  }
}

test("M23, M24: over random schedules of work, readings and switches no card is given twice, beyond its memory, sick or in use; each call ends once", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 30, maxLength: 80 }), async (steps) => {
      const world = new World();
      const parts = await testExecutor(
        { hasGpu: true, sharesGpus: true, sandboxesPerTask: 2, slotsPerSandbox: 2, passOverMs: 1_000 },
        { startMs: 30, freezeMs: 8, stopMs: 20 },
        undefined,
        undefined,
        world.gpus,
      );
      const { executor, driver, clock, channels } = parts;
      const start = driver.start.bind(driver);
      driver.start = (spec, signal) => {
        judgeStart(world, executor, spec);
        return start(spec, signal);
      };
      const calls: (Recorded & { isCancelled?: boolean })[] = [];
      for (const one of steps) {
        if (one.type === "call") calls.push(record(executor, gpuTask(one.image, one.count, one.memoryMib)));
        else if (one.type === "answer") {
          channels.calls[one.which % Math.max(1, channels.calls.length)]?.answer();
        } else if (one.type === "cancel") {
          const call = calls[one.which % Math.max(1, calls.length)];
          if (call !== undefined && call.ends === 0) {
            call.isCancelled = true;
            call.cancel();
          }
        } else if (one.type === "wait") await clock.advance(one.ms);
        else if (one.type === "gpus") executor.configure({ ...executor.settings(), hasGpu: one.isOn });
        else if (one.type === "share") executor.configure({ ...executor.settings(), sharesGpus: one.isOn });
        else if (one.type === "fault") driver.script(one.kind, "reject");
        else if (one.type === "die") [...driver.live][one.which]?.die({ type: "exited", exitCode: 1 });
        else world.apply(one);
        await clock.advance(1);
        judge(parts, world);
      }
      // Heal: whatever waits is served, and the last card is not lost on the way.
      world.apply({ type: "heal" });
      executor.configure({ ...executor.settings(), hasGpu: true });
      channels.runMs = 10;
      for (const call of [...channels.calls]) call.answer();
      await clock.advance(120_000);
      // Faults that no start has met yet are met now.
      const healing = steps.map((_, at) => record(executor, task(`healing-${at}`, 0.1, 16)));
      await clock.advance(120_000);
      expect(healing.every((call) => call.ends === 1)).toBe(true);
      const whole = record(executor, gpuTask("whole", CARDS));
      const plain = record(executor, task("plain"));
      await clock.advance(30_000);
      expect([whole.status, plain.status]).toEqual([200, 200]);
      for (const call of calls) expect(call.ends).toBe(call.isCancelled === true ? 0 : 1);
      const drained = executor.drain({ deadlineMs: 1_000, keepWarm: false });
      await clock.advance(60_000);
      await drained;
      expect(driver.live.size).toBe(0);
      expect(executor.view()).toMatchObject({ running: 0, waiting: 0, sandboxes: 0, reserved: NO_RESOURCES });
      await executor[Symbol.asyncDispose]();
      expect([clock.pendingTimers, world.gpus.listeners]).toEqual([0, 0]);
    }),
    { numRuns: 100 },
  );
}, 120_000);
