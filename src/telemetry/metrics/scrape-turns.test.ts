import { expect, test } from "vitest";
import type { ReadMetric } from "./registry.ts";
import { openRegistry } from "./registry.ts";

const SCRAPES = 5;
const METRICS = ["m1", "m2", "m3", "m4"];

test("scrapes at once do not add up: after the first metric of each, one goes on in a turn of the event loop", async () => {
  let turn = 0;
  let isOver = false;
  const count = (): void => {
    turn += 1;
    if (!isOver) setImmediate(count);
  };
  setImmediate(count);
  const turnsOfReads: number[] = [];
  const metrics = METRICS.map(
    (name): ReadMetric => ({
      ...{ name, type: "gauge", help: "takes longer to read than scrapes have in a turn", labels: [] },
      read: () => {
        turnsOfReads.push(turn);
        const beganMs = performance.now();
        while (performance.now() - beganMs < 3);
        return [{ value: 1, labels: {} }];
      },
    }),
  );
  const { text } = openRegistry(metrics);
  const texts = await Promise.all(Array.from({ length: SCRAPES }, () => text()));
  isOver = true;
  expect(new Set(texts).size).toBe(1);
  const later = turnsOfReads.slice(SCRAPES);
  expect(later).toHaveLength(SCRAPES * (METRICS.length - 1));
  expect(new Set(later).size).toBe(later.length);
});
