import { expect, test } from "vitest";
import type { DriverHealth } from "../../core/index.ts";
import { ExecutorError } from "../../core/index.ts";
import { watchEngine } from "./engine-watch.ts";

const WELL: DriverHealth = { isHealthy: true, detail: "20.10" };

test("callers at once share one question, and the next one is asked a second later", async () => {
  let nowMs = 0;
  let questions = 0;
  const watch = watchEngine(
    () => {
      questions += 1;
      return Promise.resolve(WELL);
    },
    () => nowMs,
  );
  expect(await Promise.all([watch.ask(), watch.ask(), watch.ask()])).toEqual([WELL, WELL, WELL]);
  nowMs = 999;
  await watch.ask();
  expect(questions).toBe(1);
  nowMs = 1000;
  await watch.ask();
  expect(questions).toBe(2);
});

test("nobody asks, nothing is asked; a look at the last answer asks anew behind the caller's back", async () => {
  let nowMs = 0;
  const answers: DriverHealth[] = [{ isHealthy: false, reason: "it is away" }, WELL];
  const watch = watchEngine(
    () => Promise.resolve(answers.shift() ?? WELL),
    () => nowMs,
  );
  expect(answers).toHaveLength(2);
  expect(watch.last.isHealthy).toBe(true);
  await watch.ask();
  expect(watch.last).toEqual({ isHealthy: false, reason: "it is away" });
  nowMs = 1000;
  expect(watch.last.isHealthy).toBe(false);
  await watch.ask();
  expect(watch.last).toEqual(WELL);
});

test("a question that fails is an answer: not healthy, and why", async () => {
  const watch = watchEngine(
    () => Promise.reject(new ExecutorError("ENGINE_UNAVAILABLE", { reason: "no such socket" })),
    () => 0,
  );
  expect(await watch.ask()).toEqual({ isHealthy: false, reason: expect.stringContaining("no such socket") });
});

test("an engine that never answers is not healthy", async () => {
  const watch = watchEngine(
    (signal) =>
      new Promise((_, reject) => {
        signal.addEventListener("abort", () => reject(signal.reason as Error), { once: true });
      }),
    () => 0,
  );
  expect(await watch.ask()).toEqual({
    isHealthy: false,
    reason: expect.stringContaining("no answer within"),
  });
});
