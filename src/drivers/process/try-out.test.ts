import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { ExecutorError } from "../../core/index.ts";
import { tryOut } from "./try-out.ts";

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

const hangs = (within: AbortSignal): Promise<void> =>
  new Promise((_, reject) => {
    // What obeys a signal may call it whatever it likes.
    within.addEventListener("abort", () => reject(new Error("aborted")));
  });

/** How it comes out when all times are over. */
async function outcome(
  attempt: (within: AbortSignal) => Promise<void>,
  signal?: AbortSignal,
): Promise<unknown> {
  const tried = tryOut("too late", signal ?? new AbortController().signal, attempt).then(
    () => "works",
    (error: unknown) => error,
  );
  await vi.runAllTimersAsync();
  return await tried;
}

test("what was late once, as on a machine that stood still, is tried once more", async () => {
  const attempt = vi.fn(hangs).mockImplementationOnce(hangs).mockResolvedValueOnce(undefined);
  expect(await outcome(attempt)).toBe("works");
  expect(attempt).toHaveBeenCalledTimes(2);
});

test("what is late twice does not work, and says why", async () => {
  const attempt = vi.fn(hangs);
  expect(await outcome(attempt)).toMatchObject({ code: "ENGINE_FAILED", facts: { reason: "too late" } });
  expect(attempt).toHaveBeenCalledTimes(2);
});

test("what fails has failed", async () => {
  const failure = new ExecutorError("ENGINE_FAILED", { reason: "no such thing" });
  const attempt = vi.fn().mockRejectedValue(failure);
  expect(await outcome(attempt)).toBe(failure);
  expect(attempt).toHaveBeenCalledOnce();
});

test("whoever gives up is told so at once", async () => {
  const given = new AbortController();
  const attempt = vi.fn(hangs);
  setTimeout(() => given.abort(new Error("given up")), 10);
  expect(await outcome(attempt, given.signal)).toMatchObject({ message: "given up" });
  expect(attempt).toHaveBeenCalledOnce();
});
