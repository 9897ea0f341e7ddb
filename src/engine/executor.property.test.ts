import * as fc from "fast-check";
import { expect, test } from "vitest";
import type { Recorded, TestExecutor } from "../../test/support/test-executor.ts";
import { record, task, testExecutor } from "../../test/support/test-executor.ts";
import { NO_RESOURCES } from "../core/index.ts";

const CPU_MILLIS = 3_000;
const MEMORY_MIB = 600;

const images = ["a", "b", "c", "d", "e"];
const step = fc.oneof(
  {
    weight: 10,
    arbitrary: fc.record({
      type: fc.constant("call" as const),
      image: fc.constantFrom(...images),
      cpu: fc.constantFrom(0.1, 0.5, 1, 2, 3, 3.1),
      memory: fc.constantFrom(50, 100, 300, 600),
    }),
  },
  { weight: 6, arbitrary: fc.record({ type: fc.constant("answer" as const), which: fc.nat(20) }) },
  { weight: 2, arbitrary: fc.record({ type: fc.constant("cancel" as const), which: fc.nat(20) }) },
  {
    weight: 6,
    arbitrary: fc.record({
      type: fc.constant("wait" as const),
      ms: fc.constantFrom(1, 20, 100, 1_000, 20_000),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      type: fc.constant("fault" as const),
      kind: fc.constantFrom<"resolve" | "start" | "freeze" | "stop">("resolve", "start", "freeze", "stop"),
      fault: fc.constantFrom<"reject" | "hang">("reject", "hang"),
    }),
  },
  { weight: 1, arbitrary: fc.record({ type: fc.constant("die" as const), which: fc.nat(5) }) },
  {
    weight: 1,
    arbitrary: fc.record({ type: fc.constant("move" as const), image: fc.constantFrom(...images) }),
  },
  { weight: 1, arbitrary: fc.constant({ type: "pause" as const }) },
  { weight: 1, arbitrary: fc.constant({ type: "unpause" as const }) },
  {
    weight: 1,
    arbitrary: fc.record({
      type: fc.constant("limits" as const),
      cpu: fc.constantFrom(500, 2_000, CPU_MILLIS),
    }),
  },
);

/** I4 on what really exists: sandboxes that may run code against CPU, all that exist against memory. */
function judge(parts: TestExecutor, isLowered: boolean): void {
  const { driver, executor } = parts;
  let cpuMillis = 0;
  let memoryBytes = 0;
  for (const { isFrozen, task: spec } of driver.live) {
    if (!isFrozen) cpuMillis += spec.resources.cpuMillis;
    memoryBytes += spec.resources.memoryBytes;
  }
  const { reserved } = executor.view();
  // Booked is never less than what is there; a freeze under way counts as running until it is confirmed.
  expect(memoryBytes).toBeLessThanOrEqual(reserved.memoryBytes);
  expect(reserved.memoryBytes).toBeLessThanOrEqual(MEMORY_MIB * 1_048_576);
  if (!isLowered) expect(reserved.cpuMillis).toBeLessThanOrEqual(CPU_MILLIS);
  expect(cpuMillis).toBeLessThanOrEqual(CPU_MILLIS);
}

test("over random schedules with faults: the books hold, each call ends once, and at the end nothing is left", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 30, maxLength: 80 }), async (steps) => {
      const parts = await testExecutor(
        {
          cpuMillis: CPU_MILLIS,
          memoryBytes: MEMORY_MIB * 1_048_576,
          sandboxesPerTask: 2,
          slotsPerSandbox: 2,
          queueLimit: 20,
          pullTimeoutMs: 5_000,
          startTimeoutMs: 5_000,
        },
        { startMs: 30, freezeMs: 8, stopMs: 20 },
      );
      const { executor, driver, clock, channels } = parts;
      const calls: (Recorded & { isCancelled?: boolean })[] = [];
      let isLowered = false;
      let made = 0;
      const pauses: Promise<unknown>[] = [];
      for (const one of steps) {
        if (one.type === "call") calls.push(record(executor, task(one.image, one.cpu, one.memory)));
        else if (one.type === "answer")
          channels.calls[one.which % Math.max(1, channels.calls.length)]?.answer();
        else if (one.type === "cancel") {
          const call = calls[one.which % Math.max(1, calls.length)];
          if (call !== undefined && call.ends === 0) {
            call.isCancelled = true;
            call.cancel();
          }
        } else if (one.type === "fault")
          driver.script(one.kind, one.fault === "hang" && one.kind === "stop" ? "reject" : one.fault);
        else if (one.type === "die") [...driver.live][one.which]?.die({ type: "exited", exitCode: 1 });
        else if (one.type === "move") driver.digests.set(one.image, `sha256:${++made}`);
        else if (one.type === "pause") pauses.push(executor.pause());
        else if (one.type === "unpause") executor.unpause();
        else if (one.type === "limits") {
          isLowered ||= one.cpu < CPU_MILLIS;
          executor.configure({ ...executor.settings(), cpuMillis: one.cpu });
        } else await clock.advance(one.ms);
        await clock.advance(1);
        judge(parts, isLowered);
      }
      // Heal, drain, then judge.
      executor.unpause();
      executor.configure({ ...executor.settings(), cpuMillis: CPU_MILLIS });
      channels.runMs = 10;
      for (const call of [...channels.calls]) call.answer();
      await clock.advance(120_000);
      for (const call of calls) expect(call.ends).toBe(call.isCancelled === true ? 0 : 1);
      const drained = executor.drain({ deadlineMs: 1_000, keepWarm: false });
      await clock.advance(60_000);
      await drained;
      await Promise.all(pauses);
      expect(driver.live.size).toBe(0);
      expect(executor.view()).toMatchObject({ running: 0, waiting: 0, sandboxes: 0, reserved: NO_RESOURCES });
      await executor[Symbol.asyncDispose]();
      expect(clock.pendingTimers).toBe(0);
    }),
    { numRuns: 100 },
  );
}, 120_000);
