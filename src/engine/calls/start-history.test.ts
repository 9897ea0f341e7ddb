import { expect, test } from "vitest";
import { ExecutorError } from "../../core/index.ts";
import { StartHistory } from "./start-history.ts";

const EXITED = new ExecutorError("SANDBOX_START_FAILED", { reason: "no such file" });
const AWAY = new ExecutorError("ENGINE_UNAVAILABLE", { reason: "no answer" });

/** The first failures may be tried again at once. @returns how many there were. */
function failUntilRefused(history: StartHistory, error: ExecutorError): number {
  for (let count = 1; count <= 20; count += 1) {
    history.failed(error, 0);
    if (history.refusal(0) !== undefined) return count;
  }
  throw new Error("it is never refused");
}

test("a task that failed again and again is refused for a while, and is told how long and why", () => {
  const history = new StartHistory();
  expect(history.refusal(0)).toBeUndefined();
  const failures = failUntilRefused(history, EXITED);
  const refusal = history.refusal(0);
  expect(refusal).toMatchObject({ code: "START_BACKOFF", facts: { failures, reason: EXITED.message } });
  const leftMs = refusal?.facts["retryAfterMs"] as number;
  expect(leftMs).toBeGreaterThan(0);
  expect(history.refusal(leftMs)).toBeUndefined();
});

test("an engine that is away is not held against a task; a start that came through forgives all", () => {
  const history = new StartHistory();
  history.failed(AWAY, 0);
  expect([history.refusal(0), history.isForgettable(0)]).toEqual([undefined, true]);
  failUntilRefused(history, EXITED);
  expect(history.isForgettable(0)).toBe(false);
  history.succeeded();
  expect([history.refusal(0), history.isForgettable(0)]).toEqual([undefined, true]);
});

test("what trying later would not help is said with its own error; in time all is forgotten", () => {
  const history = new StartHistory();
  const never = new ExecutorError("IMAGE_NOT_FOUND", { image: "a" });
  expect(never.spec.retry).toBe("never");
  failUntilRefused(history, never);
  expect(history.refusal(0)).toBe(never);
  expect([history.isForgettable(10_000), history.isForgettable(3_600_000)]).toEqual([false, true]);
});
