import { expect, test } from "vitest";
import { takeTurns } from "./take-turns.ts";

function* count(end: number): Generator<number, string, undefined> {
  for (let step = 0; step < end; step += 1) yield step;
  return "done";
}

test("each step has a turn of its own, and the result comes after the last", async () => {
  const seen: (number | string)[] = [];
  await new Promise<void>((resolve) => {
    takeTurns(count(3), {
      isWanted: () => true,
      onStep: (step) => {
        seen.push(step);
        setImmediate(() => seen.push("other"));
      },
      onDone: (result) => {
        seen.push(result);
        resolve();
      },
    });
  });
  expect(seen).toEqual([0, "other", 1, "other", 2, "other", "done"]);
});

test("work that is not wanted any more ends without a result", async () => {
  const seen: (number | string)[] = [];
  takeTurns(count(10), {
    isWanted: () => seen.length < 2,
    onStep: (step) => seen.push(step),
    onDone: (result) => seen.push(result),
  });
  for (let turn = 0; turn < 20; turn += 1) await new Promise((resolve) => setImmediate(resolve));
  expect(seen).toEqual([0, 1]);
});
