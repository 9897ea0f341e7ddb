import * as fc from "fast-check";
import { expect, test } from "vitest";
import { asId } from "../ids.ts";
import type { DoorName } from "../settings.ts";
import type { Resources } from "../task/resources.ts";
import { Books } from "./books.ts";

const GPUS = ["gpu-a", "gpu-b", "gpu-c"];
const holders = Array.from({ length: 6 }, (_, at) => asId<"sandbox">(`s${at}`));
const wish: fc.Arbitrary<Resources> = fc.record({
  cpuMillis: fc.integer({ min: 0, max: 1500 }),
  memoryBytes: fc.integer({ min: 0, max: 600 }),
  gpuCount: fc.integer({ min: 0, max: 2 }),
});
const door = fc.constantFrom<DoorName>("http", "stream", "indexify");
const holder = fc.constantFrom(...holders);
const step = fc.oneof(
  fc.record({ type: fc.constant("reserve" as const), holder, door, wish }),
  fc.record({ type: fc.constant("resize" as const), holder, wish }),
  fc.record({ type: fc.constant("release" as const), holder }),
);

test("I4: over any schedule nothing is above the capacity or negative, and every return counts once", () => {
  fc.assert(
    fc.property(fc.array(step, { minLength: 100, maxLength: 200 }), (steps) => {
      const books = new Books({ cpuMillis: 4000, memoryBytes: 1000, gpuIds: GPUS });
      const model = new Map<string, Resources>();
      for (const one of steps) {
        const had = model.get(one.holder);
        if (one.type === "release") {
          expect(books.release(one.holder)).toBe(model.delete(one.holder));
        } else if (one.type === "reserve") {
          const got = books.reserve(one.holder, one.door, one.wish);
          if (got === undefined) {
            const { free } = books;
            const isShort =
              one.wish.cpuMillis > free.cpuMillis ||
              one.wish.memoryBytes > free.memoryBytes ||
              one.wish.gpuCount > free.gpuCount;
            expect(had !== undefined || isShort).toBe(true);
          } else {
            expect(had).toBeUndefined();
            expect(got.gpuIds).toHaveLength(one.wish.gpuCount);
            model.set(one.holder, one.wish);
          }
        } else if (books.resize(one.holder, one.wish)) model.set(one.holder, one.wish);
        const sum = [...model.values()].reduce(
          (total, held) => ({
            cpuMillis: total.cpuMillis + held.cpuMillis,
            memoryBytes: total.memoryBytes + held.memoryBytes,
            gpuCount: total.gpuCount + held.gpuCount,
          }),
          { cpuMillis: 0, memoryBytes: 0, gpuCount: 0 },
        );
        expect(books.used).toEqual(sum);
        expect(sum.cpuMillis).toBeLessThanOrEqual(4000);
        expect(sum.memoryBytes).toBeLessThanOrEqual(1000);
        const cards = books.reservations().flatMap((held) => held.gpuIds);
        expect(new Set(cards).size).toBe(cards.length);
      }
      for (const one of holders) books.release(one);
      expect(books.used).toEqual({ cpuMillis: 0, memoryBytes: 0, gpuCount: 0 });
    }),
    { numRuns: 60 },
  );
});

test("a lowered capacity grants nothing until it holds again, and shrinking always works", () => {
  const books = new Books({ cpuMillis: 2000, memoryBytes: 100, gpuIds: [] });
  const [a, b] = [asId<"sandbox">("a"), asId<"sandbox">("b")];
  const all = { cpuMillis: 2000, memoryBytes: 50, gpuCount: 0 };
  books.reserve(a, "http", all);
  books.setCapacity({ cpuMillis: 1000, memoryBytes: 100, gpuIds: [] });
  expect(books.free.cpuMillis).toBe(-1000);
  expect(books.reserve(b, "http", { cpuMillis: 1, memoryBytes: 1, gpuCount: 0 })).toBeUndefined();
  expect(books.resize(a, { ...all, cpuMillis: 0 })).toBe(true);
  expect(books.resize(a, { ...all, cpuMillis: 1001 })).toBe(false);
  expect(books.resize(a, { ...all, cpuMillis: 1000 })).toBe(true);
  expect(books.heldByDoor("http").cpuMillis).toBe(1000);
});
