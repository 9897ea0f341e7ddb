import { expect, test } from "vitest";
import { VirtualClock } from "../../../../test/support/virtual-clock.ts";
import type { Health } from "./watch-health.ts";
import { untilUnwell } from "./watch-health.ts";

const EVERY_MS = 5_000;

/** A worker that answers, or is busy, as a test says. */
function watched() {
  const clock = new VirtualClock();
  const gone = new AbortController();
  const worker = {
    health: { type: "well" } as Health,
    isIdle: true,
    asked: 0,
    onAsked: (): void => undefined,
  };
  const found: (string | undefined)[] = [];
  const watch = {
    clock,
    everyMs: EVERY_MS,
    isIdle: () => worker.isIdle,
    ask: () => {
      worker.asked += 1;
      worker.onAsked();
      return Promise.resolve(worker.health);
    },
  };
  const over = untilUnwell(watch, gone.signal).then((reason) => found.push(reason));
  return { clock, gone, worker, found, over };
}

test("a worker that is well is asked again and again, until it is gone", async () => {
  const { clock, gone, worker, found, over } = watched();
  await clock.advance(10 * EVERY_MS);
  expect([worker.asked, found]).toEqual([10, []]);
  gone.abort();
  await over;
  expect(found).toEqual([undefined]);
});

test("one that says itself that it is unwell is believed at once, busy or not", async () => {
  const { clock, worker, found } = watched();
  worker.isIdle = false;
  worker.health = { type: "unwell", reason: "no memory" };
  await clock.advance(EVERY_MS);
  expect(found).toEqual(["no memory"]);
});

test("one that stays silent three times in a row with nothing to do hangs", async () => {
  const { clock, worker, found } = watched();
  worker.health = { type: "silent" };
  await clock.advance(2 * EVERY_MS);
  worker.health = { type: "well" };
  await clock.advance(EVERY_MS);
  worker.health = { type: "silent" };
  await clock.advance(2 * EVERY_MS);
  expect(found).toEqual([]);
  await clock.advance(EVERY_MS);
  expect(found).toEqual(["it has not answered 3 times in a row, with nothing to do"]);
});

test("what it left unanswered while a function held it up is not counted once it is idle", async () => {
  const { clock, worker, found } = watched();
  worker.health = { type: "silent" };
  worker.isIdle = false;
  await clock.advance(20 * EVERY_MS);
  worker.isIdle = true;
  await clock.advance(2 * EVERY_MS);
  expect(found).toEqual([]);
  await clock.advance(EVERY_MS);
  expect(found).toHaveLength(1);
});

test("a question that an allocation came or went under says nothing", async () => {
  const { clock, worker, found } = watched();
  worker.health = { type: "silent" };
  for (let i = 0; i < 10; i += 1) {
    // Idle before, or idle afterwards, never both.
    worker.isIdle = i % 2 === 0;
    worker.onAsked = () => {
      worker.isIdle = !worker.isIdle;
    };
    await clock.advance(EVERY_MS);
  }
  expect([worker.asked, found]).toEqual([10, []]);
});
