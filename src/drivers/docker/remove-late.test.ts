import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { ExecutorError } from "../../core/index.ts";
import { NotAsked } from "./engine/engine-error.ts";
import { removeLate, untilAnswered } from "./remove-late.ts";

const OPEN = new AbortController().signal;
const AWAY = new NotAsked("list", "the engine has stopped answering");
const NO_ANSWER = new ExecutorError("ENGINE_UNAVAILABLE", { reason: "no answer within 10000 ms" });

beforeEach(() => {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
});
afterEach(() => {
  vi.useRealTimers();
});

/** Looks that say `answers` one after the other, and then nothing more. */
function looking(answers: readonly (boolean | Error)[]): {
  readonly remove: () => Promise<boolean>;
  readonly looks: () => number;
} {
  let looks = 0;
  const remove = (): Promise<boolean> => {
    const answer = answers[looks] ?? false;
    looks += 1;
    return answer instanceof Error ? Promise.reject(answer) : Promise.resolve(answer);
  };
  return { remove, looks: () => looks };
}

test("what is there at the first look is removed at once, and nobody looks again", async () => {
  const { remove, looks } = looking([true]);
  const over = removeLate(remove, OPEN);
  await vi.advanceTimersByTimeAsync(0);
  await over;
  await vi.advanceTimersByTimeAsync(600_000);
  expect(looks()).toBe(1);
});

test("what is never made is looked for five times within 86 s of an engine that answers", async () => {
  const { remove, looks } = looking([]);
  const over = removeLate(remove, OPEN);
  await vi.advanceTimersByTimeAsync(85_999);
  expect(looks()).toBe(4);
  await vi.advanceTimersByTimeAsync(1);
  await over;
  expect(looks()).toBe(5);
});

test("looks at an engine that does not answer count for nothing, however long that takes", async () => {
  const away = Array.from({ length: 40 }, () => AWAY);
  const { remove, looks } = looking([...away, false, true]);
  const over = removeLate(remove, OPEN);
  await vi.advanceTimersByTimeAsync(40 * 60_000 + 1000);
  await over;
  expect(looks()).toBe(42);
});

test("an engine that is there and does not answer is asked three times", async () => {
  const { remove, looks } = looking([AWAY, NO_ANSWER, AWAY, NO_ANSWER, NO_ANSWER, NO_ANSWER]);
  const over = expect(untilAnswered(remove, OPEN)).rejects.toBe(NO_ANSWER);
  await vi.advanceTimersByTimeAsync(600_000);
  await over;
  expect(looks()).toBe(5);
});

test("what the engine refuses to remove to the end is told", async () => {
  const refusal = new Error("no");
  const { remove } = looking([refusal, refusal, refusal, refusal, refusal]);
  const over = expect(removeLate(remove, OPEN)).rejects.toBe(refusal);
  await vi.advanceTimersByTimeAsync(86_000);
  await over;
});

test("a driver that closes looks thrice within 2 s, and waits for nothing else", async () => {
  const closing = new AbortController();
  const { remove, looks } = looking([]);
  const over = removeLate(remove, closing.signal);
  await vi.advanceTimersByTimeAsync(1000);
  expect(looks()).toBe(2);
  closing.abort();
  await vi.advanceTimersByTimeAsync(2000);
  await over;
  expect(looks()).toBe(5);
});

test("a driver that closes does not wait for an engine that is away", async () => {
  const closing = new AbortController();
  const { remove, looks } = looking(Array.from({ length: 100 }, () => AWAY));
  const over = expect(removeLate(remove, closing.signal)).rejects.toBe(AWAY);
  await vi.advanceTimersByTimeAsync(0);
  closing.abort();
  await vi.advanceTimersByTimeAsync(2000);
  await over;
  expect(looks()).toBeLessThanOrEqual(5);
});
