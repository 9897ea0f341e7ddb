import fc from "fast-check";
import { expect, test } from "vitest";
import type { AttemptTimes, CanonicalValue } from "../index.ts";
import { attemptPhases, canonical, toUs } from "../index.ts";

const maybe = <T>(of: fc.Arbitrary<T>): fc.Arbitrary<T | undefined> => fc.option(of, { nil: undefined });
const text = fc.string({ unit: "grapheme" });
const ms = fc.double({ min: 0, max: 1e9, noNaN: true });

test("a value has one spelling, whatever the order of its keys", () => {
  const json = fc.letrec<{ value: CanonicalValue }>((tie) => ({
    value: fc.oneof(
      { depthSize: "small" },
      text,
      fc.maxSafeInteger(),
      fc.boolean(),
      fc.array(tie("value")),
      fc.dictionary(text, tie("value")),
    ),
  })).value;
  const reversed = (value: CanonicalValue): CanonicalValue => {
    if (Array.isArray(value)) return value.map(reversed);
    if (typeof value !== "object") return value;
    const fields = Object.entries(value as Record<string, CanonicalValue>);
    return Object.fromEntries(fields.reverse().map(([key, field]) => [key, reversed(field)]));
  };
  fc.assert(
    fc.property(json, (value) => {
      expect(canonical(reversed(value))).toBe(canonical(value));
      expect(canonical(JSON.parse(canonical(value)) as CanonicalValue)).toBe(canonical(value));
    }),
  );
});

test("a number without an exact spelling is refused", () => {
  for (const number of [0.5, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 53]) {
    expect(() => canonical({ number })).toThrow(RangeError);
  }
});

const times: fc.Arbitrary<AttemptTimes> = fc.record({
  acceptedAtMs: ms,
  placedAtMs: maybe(ms),
  headAtMs: maybe(ms),
  endedAtMs: ms,
  start: maybe(
    fc.record({
      beganAtMs: ms,
      resolvedAtMs: maybe(ms),
      endedAtMs: maybe(ms),
      phases: maybe(fc.record({ createMs: ms, startMs: ms, readyMs: ms })),
    }),
  ),
});

test("W: the phases of an attempt sum to its wall time, and none is negative, whatever the times are", () => {
  fc.assert(
    fc.property(times, (at) => {
      const phases = Object.values(attemptPhases(at));
      for (const phase of phases) expect(phase).toBeGreaterThanOrEqual(0);
      const wallUs = Math.max(0, toUs(at.endedAtMs) - toUs(at.acceptedAtMs));
      expect(phases.reduce((sum, phase) => sum + phase, 0)).toBe(wallUs);
    }),
    { numRuns: 1000 },
  );
});

test("an attempt that made its sandbox start has each step of it, and its own part of one that it joined", () => {
  const start = {
    beganAtMs: 10,
    resolvedAtMs: 60,
    endedAtMs: 200,
    phases: { createMs: 30, startMs: 40, readyMs: 50 },
  };
  const rest = { placedAtMs: 201, headAtMs: 211, endedAtMs: 214 };
  expect(attemptPhases({ acceptedAtMs: 10, ...rest, start })).toEqual({
    queued: 21_000,
    pull: 50_000,
    create: 30_000,
    start: 40_000,
    ready: 50_000,
    firstByte: 10_000,
    answer: 3000,
  });
  expect(attemptPhases({ acceptedAtMs: 140, ...rest, start })).toEqual({
    queued: 1000,
    pull: 0,
    create: 0,
    start: 10_000,
    ready: 50_000,
    firstByte: 10_000,
    answer: 3000,
  });
});
