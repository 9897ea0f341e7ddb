import fc from "fast-check";
import { expect, test } from "vitest";
import { TimeCounts } from "./time-counts.ts";

test("percentiles of counted times are those of the times themselves, to within 5 %", () => {
  fc.assert(
    fc.property(
      fc.array(fc.double({ min: 0.02, max: 1e7, noNaN: true }), { minLength: 1, maxLength: 300 }),
      (times) => {
        const counts = new TimeCounts();
        for (const ms of times) counts.add(ms);
        const sorted = [...times].sort((a, b) => a - b);
        const exact = (share: number): number => sorted[Math.ceil(sorted.length * share) - 1] ?? 0;
        const taken = counts.take();
        for (const [found, share] of [
          [taken.p50, 0.5],
          [taken.p90, 0.9],
          [taken.p99, 0.99],
        ] as const) {
          expect(found).toBeGreaterThanOrEqual(exact(share) - 0.001);
          expect(found).toBeLessThanOrEqual(exact(share) * 1.0501 + 0.001);
        }
        expect(taken.max).toBeCloseTo(exact(1), 2);
      },
    ),
  );
});

test("what was taken is not told again", () => {
  const counts = new TimeCounts();
  counts.add(5);
  expect(counts.take().max).toBe(5);
  expect(counts.take()).toEqual({ p50: 0, p90: 0, p99: 0, max: 0 });
});
