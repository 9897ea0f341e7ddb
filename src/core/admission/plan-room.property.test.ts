import * as fc from "fast-check";
import { expect, test } from "vitest";
import type { Card, Rack } from "../gpus/rack.ts";
import { afterLeaving, bookedMemory, EMPTY_RACK, NOW, placeOnCards, SOON, withClaims } from "../gpus/rack.ts";
import { asId } from "../ids.ts";
import type { Amounts, TaskResources } from "../task/resources.ts";
import { fits, NO_RESOURCES, plus } from "../task/resources.ts";
import type { Holding, Room, Supply } from "./plan-room.ts";
import { planRoom } from "./plan-room.ts";

const CARD_MEMORY = 20;
const amount: fc.Arbitrary<TaskResources> = fc.record({
  cpuMillis: fc.integer({ min: 0, max: 20 }),
  memoryBytes: fc.integer({ min: 0, max: 20 }),
  gpuCount: fc.integer({ min: 0, max: 2 }),
  gpuMemoryBytes: fc.constantFrom(0, 5, 10, 20),
});

/** Idle and busy sandboxes that hold what books could have given them, and what is left. */
interface Scene {
  readonly holdings: Holding[];
  readonly supply: Supply;
}

const canShare = fc.boolean();
const cards: fc.Arbitrary<Card[]> = fc
  .array(
    fc.record({
      isHealthy: fc.integer({ min: 0, max: 5 }).map((n) => n > 0),
      use: fc.constantFrom<Card["use"]>("free", "free", "settling", "busy"),
      used: fc.integer({ min: 0, max: 5 }),
    }),
    { maxLength: 4 },
  )
  .map((all) =>
    all.map(({ isHealthy, use, used }, at) => ({
      ...{ id: `g${at}`, memoryBytes: CARD_MEMORY, freeMemoryBytes: CARD_MEMORY - used },
      ...{ isHealthy, use },
    })),
  );
const scene: fc.Arbitrary<Scene> = fc
  .tuple(
    amount,
    cards,
    canShare,
    fc.array(
      fc.record({
        held: amount,
        isIdle: fc.boolean(),
        canFreeze: fc.boolean(),
        lastUsedMs: fc.integer({ min: 0, max: 100 }),
        startCostMs: fc.integer({ min: 1, max: 100 }),
      }),
      { maxLength: 8 },
    ),
  )
  .map(([free, all, isSharing, raw]) => {
    let rack: Rack = {
      cards: all.map((card) => ({ ...card, use: "free" })),
      holds: new Map(),
      canShare: isSharing,
    };
    const holdings = raw.map(({ held, ...one }, at): Holding => {
      const sandboxId = asId<"sandbox">(`s${at}`);
      const gpuIds = placeOnCards(held, rack, NOW) ?? [];
      rack = holdOn(rack, sandboxId, gpuIds, bookedMemory(held, rack));
      return { ...one, sandboxId, held: { ...held, gpuCount: gpuIds.length } };
    });
    return { holdings, supply: { free, rack: { ...rack, cards: all } } };
  });
const order = fc.constantFrom<"recency" | "cost">("recency", "cost");

function holdOn(rack: Rack, holder: string, gpuIds: readonly string[], memoryBytes: number): Rack {
  const holds = new Map(rack.holds);
  for (const id of gpuIds) {
    holds.set(id, [...(holds.get(id) ?? []), { holder, memoryBytes, isClaim: false }]);
  }
  return { ...rack, holds };
}

type Victims = Pick<Room, "freeze" | "evict">;

/** Whether the need fits once the victims have gone. */
function isEnough(need: TaskResources, { holdings, supply }: Scene, victims: Victims): boolean {
  let free: Amounts = supply.free;
  for (const { sandboxId, held } of holdings) {
    if (victims.evict.includes(sandboxId)) free = plus(free, held);
    else if (victims.freeze.includes(sandboxId)) free = plus(free, { ...held, memoryBytes: 0 });
  }
  const rack = afterLeaving(supply.rack, new Set(victims.evict));
  return fits(need, free) && placeOnCards(need, rack, SOON) !== undefined;
}

test("M12: the plan makes enough room, from idle sandboxes only, and no victim could be spared", () => {
  fc.assert(
    fc.property(amount, scene, order, (need, parts, by) => {
      const { holdings: all, supply } = parts;
      const options = { order: by, nowMs: 200, keep: asId<"sandbox">("s0") };
      const room = planRoom(need, supply, all, options);
      if (room === undefined) {
        const everything = all.filter((one) => one.isIdle && one.sandboxId !== "s0");
        const evict = everything.map((one) => one.sandboxId);
        expect(isEnough(need, parts, { freeze: [], evict })).toBe(false);
        return;
      }
      expect(isEnough(need, parts, room)).toBe(true);
      const victims = [...room.freeze, ...room.evict];
      expect(new Set(victims).size).toBe(victims.length);
      for (const id of victims) {
        const victim = all.find((one) => one.sandboxId === id);
        expect(victim?.isIdle === true && id !== "s0").toBe(true);
        const spared = {
          freeze: room.freeze.filter((one) => one !== id),
          evict: room.evict.filter((one) => one !== id),
        };
        expect(isEnough(need, parts, spared)).toBe(false);
      }
      for (const id of room.freeze) expect(all.find((one) => one.sandboxId === id)?.canFreeze).toBe(true);
    }),
    { numRuns: 5_000 },
  );
});

test("M23: the cards that a plan promises can be booked once its victims have gone, and are promised to nobody else", () => {
  fc.assert(
    fc.property(amount, amount, scene, (need, other, { holdings, supply }) => {
      const options = { order: "recency", nowMs: 200, keep: undefined } as const;
      const room = planRoom(need, supply, holdings, options);
      if (room === undefined) return;
      expect(new Set(room.gpuIds).size).toBe(need.gpuCount);
      const left = afterLeaving(supply.rack, new Set(room.evict));
      for (const id of room.gpuIds) {
        const holds = left.holds.get(id) ?? [];
        const sum = holds.reduce((total, hold) => total + hold.memoryBytes, 0);
        if (bookedMemory(need, left) === 0) expect(holds).toEqual([]);
        else expect(sum + need.gpuMemoryBytes).toBeLessThanOrEqual(CARD_MEMORY);
        expect(left.cards.find((card) => card.id === id)?.isHealthy).toBe(true);
      }
      const claimed = withClaims(left, [{ holder: "first", gpuIds: room.gpuIds, wish: need }]);
      for (const id of placeOnCards(other, claimed, SOON) ?? []) {
        const holds = claimed.holds.get(id) ?? [];
        const booked = bookedMemory(other, claimed);
        if (holds.length > 0) expect(booked > 0 && holds.every((hold) => hold.memoryBytes > 0)).toBe(true);
        const sum = holds.reduce((total, hold) => total + hold.memoryBytes, booked);
        expect(sum).toBeLessThanOrEqual(CARD_MEMORY);
      }
    }),
    { numRuns: 3_000 },
  );
});

test("M12: a shortage of CPU alone evicts nothing that can be frozen", () => {
  fc.assert(
    fc.property(amount, scene, (need, { holdings, supply }) => {
      const freezable = holdings.map((one) => ({ ...one, canFreeze: true }));
      const wish = { ...need, gpuCount: 0 };
      const free = { cpuMillis: 0, memoryBytes: need.memoryBytes };
      const options = { order: "recency", nowMs: 200, keep: undefined } as const;
      expect(planRoom(wish, { ...supply, free }, freezable, options)?.evict ?? []).toEqual([]);
    }),
    { numRuns: 2_000 },
  );
});

const NOTHING: Supply = { free: NO_RESOURCES, rack: EMPTY_RACK };

test("between equals the one unused for longest goes first", () => {
  const idle = [30, 10, 20].map((lastUsedMs, at) => ({
    sandboxId: asId<"sandbox">(`s${at}`),
    held: { cpuMillis: 1, memoryBytes: 10, gpuCount: 0 },
    isIdle: true,
    canFreeze: true,
    lastUsedMs,
    startCostMs: 1,
  }));
  const need = { ...NO_RESOURCES, memoryBytes: 15, gpuMemoryBytes: 0 };
  const room = planRoom(need, NOTHING, idle, { order: "recency", nowMs: 100, keep: undefined });
  expect(room).toEqual({ freeze: [], evict: ["s1", "s2"], gpuIds: [] });
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
  const need = { ...NO_RESOURCES, memoryBytes: 5, gpuMemoryBytes: 0 };
  const room = planRoom(need, NOTHING, idle, { order: "cost", nowMs: 100, keep: undefined });
  expect(room?.evict).toEqual(["new-cheap"]);
});

/** Idle sandboxes, the first the cheapest to lose, each on its cards of one rack. */
function idleOn(rack: Rack, all: readonly (readonly [id: string, memoryBytes: number, gpuIds: string[]])[]) {
  let whole = rack;
  const holdings = all.map(([id, gpuMemory, gpuIds], at): Holding => {
    whole = holdOn(whole, id, gpuIds, gpuMemory);
    return {
      sandboxId: asId<"sandbox">(id),
      held: { cpuMillis: 1, memoryBytes: 1, gpuCount: gpuIds.length },
      ...{ isIdle: true, canFreeze: true, lastUsedMs: at, startCostMs: 1 },
    };
  });
  return { holdings, supply: { free: { cpuMillis: 10, memoryBytes: 10 }, rack: whole } };
}

function cardsOf(count: number): Card[] {
  return Array.from({ length: count }, (_, at) => ({
    ...{ id: `g${at}`, memoryBytes: CARD_MEMORY, freeMemoryBytes: CARD_MEMORY },
    ...{ isHealthy: true, use: "busy" as const },
  }));
}

const BY_AGE = { order: "recency", nowMs: 100, keep: undefined } as const;
const ONE_CARD: TaskResources = { ...NO_RESOURCES, gpuCount: 1, gpuMemoryBytes: 0 };

test("a wish for a card evicts the cheapest idle holder of one, and nobody who holds none", () => {
  const rack: Rack = { cards: cardsOf(2), holds: new Map(), canShare: false };
  const { holdings, supply } = idleOn(rack, [
    ["none", 0, []],
    ["cheap", 0, ["g1"]],
    ["dear", 0, ["g0"]],
  ]);
  expect(planRoom(ONE_CARD, supply, holdings, BY_AGE)).toEqual({
    freeze: [],
    evict: ["cheap"],
    gpuIds: ["g1"],
  });
});

test("both sharers of a card go where a whole one is wanted, and one where a share is", () => {
  const rack: Rack = { cards: cardsOf(1), holds: new Map(), canShare: true };
  const { holdings, supply } = idleOn(rack, [
    ["a", 10, ["g0"]],
    ["b", 10, ["g0"]],
  ]);
  expect(planRoom(ONE_CARD, supply, holdings, BY_AGE)?.evict).toEqual(["a", "b"]);
  const share = { ...ONE_CARD, gpuMemoryBytes: 10 };
  expect(planRoom(share, supply, holdings, BY_AGE)?.evict).toEqual(["a"]);
});

test("a plan for 500 idle sandboxes on 8 cards looks at each a bounded number of times", () => {
  let looks = 0;
  const rack: Rack = {
    cards: cardsOf(8).map((card) => ({ ...card, memoryBytes: 1_000 })),
    holds: new Map(),
    canShare: true,
  };
  const { holdings, supply } = idleOn(
    rack,
    Array.from({ length: 500 }, (_, at) => [`s${at}`, 10, [`g${at % 8}`]] as const),
  );
  const counted = holdings.map((one) =>
    Object.defineProperty({ ...one }, "held", {
      get: () => {
        looks += 1;
        return one.held;
      },
    }),
  );
  const need = { cpuMillis: 400, memoryBytes: 480, gpuCount: 8, gpuMemoryBytes: 0 };
  expect(planRoom(need, supply, counted, BY_AGE)?.evict).toHaveLength(500);
  expect(looks).toBeLessThan(500 * 20);
});
