import * as fc from "fast-check";
import { expect, test } from "vitest";
import { asId } from "../ids.ts";
import type { Resources } from "../task/resources.ts";
import { fits, NO_RESOURCES, plus } from "../task/resources.ts";
import type { Holding, Room } from "./plan-room.ts";
import { planRoom } from "./plan-room.ts";

const amount: fc.Arbitrary<Resources> = fc.record({
  cpuMillis: fc.integer({ min: 0, max: 20 }),
  memoryBytes: fc.integer({ min: 0, max: 20 }),
  gpuCount: fc.integer({ min: 0, max: 2 }),
});
const holdings: fc.Arbitrary<Holding[]> = fc
  .array(
    fc.record({
      held: amount,
      isIdle: fc.boolean(),
      canFreeze: fc.boolean(),
      lastUsedMs: fc.integer({ min: 0, max: 100 }),
      startCostMs: fc.integer({ min: 1, max: 100 }),
    }),
    { maxLength: 8 },
  )
  .map((all) => all.map((one, at) => ({ ...one, sandboxId: asId<"sandbox">(`s${at}`) })));
const order = fc.constantFrom<"recency" | "cost">("recency", "cost");

function given(free: Resources, all: readonly Holding[], room: Room): Resources {
  let sum = free;
  for (const one of all) {
    if (room.evict.includes(one.sandboxId)) sum = plus(sum, one.held);
    else if (room.freeze.includes(one.sandboxId))
      sum = plus(sum, { ...NO_RESOURCES, cpuMillis: one.held.cpuMillis });
  }
  return sum;
}

test("M12: the plan makes enough room, from idle sandboxes only, and no victim could be spared", () => {
  fc.assert(
    fc.property(amount, amount, holdings, order, (need, free, all, by) => {
      const options = { order: by, nowMs: 200, keep: asId<"sandbox">("s0") };
      const room = planRoom(need, free, all, options);
      if (room === undefined) {
        const everything = all.filter((one) => one.isIdle && one.sandboxId !== "s0");
        const evict = everything.map((one) => one.sandboxId);
        expect(fits(need, given(free, all, { freeze: [], evict }))).toBe(false);
        return;
      }
      expect(fits(need, given(free, all, room))).toBe(true);
      const victims = [...room.freeze, ...room.evict];
      expect(new Set(victims).size).toBe(victims.length);
      for (const id of victims) {
        const victim = all.find((one) => one.sandboxId === id);
        expect(victim?.isIdle === true && id !== "s0").toBe(true);
        const spared = {
          freeze: room.freeze.filter((one) => one !== id),
          evict: room.evict.filter((one) => one !== id),
        };
        expect(fits(need, given(free, all, spared))).toBe(false);
      }
      for (const id of room.freeze) expect(all.find((one) => one.sandboxId === id)?.canFreeze).toBe(true);
    }),
    { numRuns: 5_000 },
  );
});

test("M12: a shortage of CPU alone evicts nothing that can be frozen", () => {
  fc.assert(
    fc.property(amount, holdings, (need, all) => {
      const freezable = all.map((one) => ({ ...one, canFreeze: true }));
      const free = { cpuMillis: 0, memoryBytes: need.memoryBytes, gpuCount: need.gpuCount };
      const room = planRoom(need, free, freezable, { order: "recency", nowMs: 200, keep: undefined });
      expect(room?.evict ?? []).toEqual([]);
    }),
    { numRuns: 2_000 },
  );
});

test("between equals the one unused for longest goes first", () => {
  const idle = [30, 10, 20].map((lastUsedMs, at) => ({
    sandboxId: asId<"sandbox">(`s${at}`),
    held: { cpuMillis: 1, memoryBytes: 10, gpuCount: 0 },
    isIdle: true,
    canFreeze: true,
    lastUsedMs,
    startCostMs: 1,
  }));
  const need = { cpuMillis: 0, memoryBytes: 15, gpuCount: 0 };
  const room = planRoom(need, NO_RESOURCES, idle, { order: "recency", nowMs: 100, keep: undefined });
  expect(room).toEqual({ freeze: [], evict: ["s1", "s2"] });
});

test("by cost the one that is quick to start and holds much goes first, however recent", () => {
  const one = (sandboxId: string, startCostMs: number, memoryBytes: number, lastUsedMs: number): Holding => ({
    sandboxId: asId<"sandbox">(sandboxId),
    held: { cpuMillis: 1, memoryBytes, gpuCount: 0 },
    isIdle: true,
    canFreeze: true,
    lastUsedMs,
    startCostMs,
  });
  const idle = [one("old-dear", 10_000, 10, 10), one("new-cheap", 10, 100, 90)];
  const need = { cpuMillis: 0, memoryBytes: 5, gpuCount: 0 };
  const room = planRoom(need, NO_RESOURCES, idle, { order: "cost", nowMs: 100, keep: undefined });
  expect(room?.evict).toEqual(["new-cheap"]);
});
