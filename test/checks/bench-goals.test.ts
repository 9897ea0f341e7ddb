import { expect, test } from "vitest";
import type { Row } from "../bench/lib/bench.ts";
import { exitCodeOf, goalText, verdictOf } from "../bench/lib/goal.ts";
import { figuresOf } from "../bench/lib/table.ts";

const row = (figures: Row["figures"], goal?: Row["goal"]): Row => ({
  case: "a case",
  figures,
  ...(goal === undefined ? {} : { goal }),
});

test("a goal is met up to its very bound, and missed beyond it, by whichever of its figures", () => {
  const even = { run_twice: { exactly: 0 }, furthest: { atMost: 0.2 } };
  const cases: readonly (readonly [Row, string | undefined])[] = [
    [row({ rate: 0.6 }, { rate: { atLeast: 0.6 } }), "met"],
    [row({ rate: 0.599 }, { rate: { atLeast: 0.6 } }), "missed"],
    [row({ rate: 0.41 }, { rate: { atLeast: 0.4, aim: 0.55 } }), "met"],
    [row({ ms: 20 }, { ms: { atMost: 20 } }), "met"],
    [row({ ms: 20.1 }, { ms: { atMost: 20 } }), "missed"],
    [row({ run_twice: 0, furthest: 0.2 }, even), "met"],
    [row({ run_twice: 1, furthest: 0.1 }, even), "missed"],
    [row({ run_twice: 0, furthest: 0.3 }, even), "missed"],
    [row({ rate: 0.1 }), undefined],
  ];
  for (const [one, verdict] of cases) expect(verdictOf(one), JSON.stringify(one)).toBe(verdict);
});

test("a figure that was not measured, or is no number, misses its goal", () => {
  const goal = { ms: { atMost: 20 } };
  for (const figures of [{}, { ms: Number.NaN }, { ms: "3" }])
    expect(verdictOf(row(figures, goal))).toBe("missed");
});

test("one missed goal fails the run, but not a quick one, which proves nothing", () => {
  const [met, missed] = [row({ ms: 1 }, { ms: { atMost: 2 } }), row({ ms: 3 }, { ms: { atMost: 2 } })];
  const full = { isQuick: false };
  expect(exitCodeOf([met, row({ ms: 9 })], full)).toBe(0);
  expect(exitCodeOf([met, missed], full)).toBe(1);
  expect(exitCodeOf([met, missed], { isQuick: true })).toBe(0);
});

test("the table says what was promised and whether it was kept", () => {
  expect(goalText({ rate: { atLeast: 0.4, aim: 0.55 }, ms: { atMost: 3 }, run_twice: { exactly: 0 } })).toBe(
    "rate >= 0.4 (aim 0.55), ms <= 3, run_twice = 0",
  );
  expect(figuresOf(row({ ms: 3 }, { ms: { atMost: 2 } }))).toEqual({
    ms: 3,
    goal: "ms <= 2",
    verdict: "missed",
  });
  expect(figuresOf(row({ ms: 3 }))).toEqual({ ms: 3 });
});
