import { expect, test } from "vitest";
import { rowWithin, slackOf } from "./slack.ts";

test("bounds are taken twenty times unless something else is asked for, and never less than once", () => {
  expect([undefined, "1", "2.5", "20"].map(slackOf)).toEqual([20, 1, 2.5, 20]);
  for (const text of ["", " ", "0.5", "0", "-1", "x", "Infinity", "NaN"])
    expect(() => slackOf(text), text).toThrow("HEARTH_TEST_SLACK must be a number from 1 on");
});

test("a row's wait is at least as long as any other, unless less slack is asked for", () => {
  expect([rowWithin(1000, 20), rowWithin(10_000, 20), rowWithin(1000, 40)]).toEqual([
    60_000, 200_000, 60_000,
  ]);
  expect([rowWithin(1000, 1), rowWithin(1000, 2.5)]).toEqual([1000, 2500]);
});
