import * as fc from "fast-check";
import { expect, test } from "vitest";
import type { Card } from "../gpus/rack.ts";
import { bookedMemory, NOW, placeOnCards } from "../gpus/rack.ts";
import { asId } from "../ids.ts";
import type { DoorName } from "../settings.ts";
import type { TaskResources } from "../task/resources.ts";
import { Books } from "./books.ts";

const CARD_MEMORY = [100, 100, 60];
const ids = CARD_MEMORY.map((_, at) => `gpu-${at}`);
const holders = Array.from({ length: 6 }, (_, at) => asId<"sandbox">(`s${at}`));
const wish: fc.Arbitrary<TaskResources> = fc.record({
  cpuMillis: fc.integer({ min: 0, max: 1500 }),
  memoryBytes: fc.integer({ min: 0, max: 600 }),
  gpuCount: fc.integer({ min: 0, max: 3 }),
  gpuMemoryBytes: fc.constantFrom(0, 0, 20, 50, 70, 120),
});
const cards: fc.Arbitrary<Card[]> = fc
  .tuple(
    ...CARD_MEMORY.map((memoryBytes, at) =>
      fc.record({
        id: fc.constant(`gpu-${at}`),
        memoryBytes: fc.constant(memoryBytes),
        freeMemoryBytes: fc.integer({ min: 0, max: memoryBytes }),
        isHealthy: fc.integer({ min: 0, max: 4 }).map((n) => n > 0),
        use: fc.constantFrom<Card["use"]>("free", "free", "settling", "busy"),
      }),
    ),
  )
  .chain((all) => fc.subarray(all, { minLength: 1 }));
const door = fc.constantFrom<DoorName>("http", "stream", "indexify");
const holder = fc.constantFrom(...holders);
const step = fc.oneof(
  { weight: 4, arbitrary: fc.record({ type: fc.constant("reserve" as const), holder, door, wish }) },
  { weight: 1, arbitrary: fc.record({ type: fc.constant("resize" as const), holder, wish }) },
  { weight: 3, arbitrary: fc.record({ type: fc.constant("release" as const), holder }) },
  {
    weight: 1,
    arbitrary: fc.record({ type: fc.constant("cards" as const), cards, canShare: fc.boolean() }),
  },
);
const NEW_CARDS: readonly Card[] = ids.map((id, at) => ({
  id,
  memoryBytes: CARD_MEMORY[at] ?? 0,
  freeMemoryBytes: CARD_MEMORY[at] ?? 0,
  isHealthy: true,
  use: "free",
}));

/** M23 as it must hold at every instant: a whole card has one holder, shares never add up to more than the card. */
function judgeCards(books: Books): void {
  for (const [id, holds] of books.rack.holds) {
    expect(holds.length).toBeGreaterThan(0);
    if (holds.some((hold) => hold.memoryBytes === 0)) expect(holds).toHaveLength(1);
    const sum = holds.reduce((total, hold) => total + hold.memoryBytes, 0);
    expect(sum).toBeLessThanOrEqual(CARD_MEMORY[ids.indexOf(id)] ?? 0);
  }
}

test("I4, M23: over any schedule nothing is above the capacity, no card is held twice, and every return counts once", () => {
  fc.assert(
    fc.property(fc.array(step, { minLength: 100, maxLength: 200 }), (steps) => {
      const books = new Books({ cpuMillis: 4000, memoryBytes: 1000 });
      books.setCards(NEW_CARDS, true);
      const model = new Map<string, { cpuMillis: number; memoryBytes: number }>();
      for (const one of steps) {
        if (one.type === "cards") {
          books.setCards(one.cards, one.canShare);
        } else if (one.type === "release") {
          expect(books.release(one.holder)).toBe(model.delete(one.holder));
        } else if (one.type === "reserve") {
          const before = books.rack;
          const fitting = placeOnCards(one.wish, before, NOW);
          const { free } = books;
          const isShort = one.wish.cpuMillis > free.cpuMillis || one.wish.memoryBytes > free.memoryBytes;
          const wasHeld = new Map([...before.holds].map(([id, holds]) => [id, holds.length]));
          const got = books.reserve(one.holder, one.door, one.wish);
          expect(got === undefined).toBe(model.has(one.holder) || isShort || fitting === undefined);
          if (got !== undefined) {
            expect(new Set(got.gpuIds).size).toBe(one.wish.gpuCount);
            for (const id of got.gpuIds) {
              const given = before.cards.find((card) => card.id === id);
              expect(given?.isHealthy).toBe(true);
              expect(given?.memoryBytes).toBeGreaterThanOrEqual(one.wish.gpuMemoryBytes);
              if (!wasHeld.has(id)) expect(given?.use).toBe("free");
              else expect(bookedMemory(one.wish, before)).toBeGreaterThan(0);
            }
            model.set(one.holder, one.wish);
          }
        } else if (books.resize(one.holder, one.wish)) model.set(one.holder, one.wish);
        const sum = { cpuMillis: 0, memoryBytes: 0 };
        for (const held of model.values()) {
          sum.cpuMillis += held.cpuMillis;
          sum.memoryBytes += held.memoryBytes;
        }
        const held = new Set(books.reservations().flatMap((reservation) => reservation.gpuIds));
        expect(books.used).toEqual({ ...sum, gpuCount: held.size });
        expect(sum.cpuMillis).toBeLessThanOrEqual(4000);
        expect(sum.memoryBytes).toBeLessThanOrEqual(1000);
        judgeCards(books);
      }
      for (const one of holders) books.release(one);
      expect(books.used).toEqual({ cpuMillis: 0, memoryBytes: 0, gpuCount: 0 });
      expect(books.rack.holds.size).toBe(0);
    }),
    { numRuns: 150 },
  );
});

test("a lowered capacity grants nothing until it holds again, and shrinking always works", () => {
  const books = new Books({ cpuMillis: 2000, memoryBytes: 100 });
  const [a, b] = [asId<"sandbox">("a"), asId<"sandbox">("b")];
  const all = { cpuMillis: 2000, memoryBytes: 50, gpuCount: 0, gpuMemoryBytes: 0 };
  books.reserve(a, "http", all);
  books.setCapacity({ cpuMillis: 1000, memoryBytes: 100 });
  expect(books.free.cpuMillis).toBe(-1000);
  expect(books.reserve(b, "http", { ...all, cpuMillis: 1, memoryBytes: 1 })).toBeUndefined();
  expect(books.resize(a, { ...all, cpuMillis: 0 })).toBe(true);
  expect(books.resize(a, { ...all, cpuMillis: 1001 })).toBe(false);
  expect(books.resize(a, { ...all, cpuMillis: 1000 })).toBe(true);
  expect(books.heldByDoor("http").cpuMillis).toBe(1000);
});

test("a card that goes away stays booked for its holder, leaves the capacity, and is given to nobody when it is back and held", () => {
  const books = new Books({ cpuMillis: 2000, memoryBytes: 100 });
  books.setCards(NEW_CARDS, false);
  const [a, b] = [asId<"sandbox">("a"), asId<"sandbox">("b")];
  const one = { cpuMillis: 1, memoryBytes: 1, gpuCount: 1, gpuMemoryBytes: 0 };
  expect(books.reserve(a, "http", one, ["gpu-1"])?.gpuIds).toEqual(["gpu-1"]);
  books.setCards(
    NEW_CARDS.filter((card) => card.id !== "gpu-1"),
    false,
  );
  expect([books.capacity.gpuCount, books.used.gpuCount]).toEqual([2, 1]);
  expect(books.reserve(b, "http", one, ["gpu-1"])).toBeUndefined();
  books.setCards(NEW_CARDS, false);
  expect(books.reserve(b, "http", { ...one, gpuCount: 3 })).toBeUndefined();
  expect(books.reserve(b, "http", { ...one, gpuCount: 2 })?.gpuIds).toEqual(["gpu-2", "gpu-0"]);
  expect(books.release(a)).toBe(true);
  expect(books.takeReturnedCards()).toEqual(["gpu-1"]);
  expect(books.takeReturnedCards()).toEqual([]);
});

test("exactly the cards of a leftover are booked, present or not, shared or not", () => {
  const books = new Books({ cpuMillis: 2000, memoryBytes: 100 });
  books.setCards(NEW_CARDS, false);
  const share = { cpuMillis: 1, memoryBytes: 1, gpuCount: 1, gpuMemoryBytes: 40 };
  const [a, b, c] = [asId<"sandbox">("a"), asId<"sandbox">("b"), asId<"sandbox">("c")];
  books.assume(a, "http", share, ["gpu-0"]);
  books.assume(b, "http", share, ["gpu-0"]);
  books.assume(c, "stream", { ...share, gpuMemoryBytes: 0 }, ["gpu-gone"]);
  expect([books.used.gpuCount, books.heldByDoor("http").gpuCount]).toEqual([2, 1]);
  expect(books.assume(a, "http", share, ["gpu-1"])).toBeUndefined();
  const next = books.reserve(asId<"sandbox">("d"), "http", { ...share, gpuMemoryBytes: 0 });
  expect(next?.gpuIds).toEqual(["gpu-2"]);
});
