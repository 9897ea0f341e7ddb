import fc from "fast-check";
import { expect, test } from "vitest";
import { ExecutorError } from "../core/index.ts";
import { backoffMs, retry } from "./backoff.ts";

const quick = { firstMs: 0, maxMs: 0, signal: new AbortController().signal };

test("a pause is never longer than the limit nor shorter than half of what the doubling says", () => {
  fc.assert(
    fc.property(
      fc.record({ firstMs: fc.integer({ min: 1, max: 5000 }), maxMs: fc.integer({ min: 1, max: 300_000 }) }),
      fc.integer({ min: 1, max: 10_000 }),
      fc.double({ min: 0, max: 0.999, noNaN: true }),
      (backoff, failures, random) => {
        const pause = backoffMs(backoff, failures, random);
        const whole = Math.min(backoff.maxMs, backoff.firstMs * 2 ** Math.min(30, failures - 1));
        expect(pause).toBeLessThanOrEqual(backoff.maxMs);
        expect(pause).toBeGreaterThanOrEqual(whole / 2);
      },
    ),
  );
});

test("an error that says later is tried again, up to the number of tries", async () => {
  let tries = 0;
  const work = (): Promise<never> => {
    tries += 1;
    return Promise.reject(new ExecutorError("ENGINE_UNAVAILABLE"));
  };
  await expect(retry({ ...quick, tries: 3 }, work)).rejects.toMatchObject({ code: "ENGINE_UNAVAILABLE" });
  expect(tries).toBe(3);
});

test("an error that says never, and one that is not ours, is thrown at once", async () => {
  for (const error of [new ExecutorError("IMAGE_NOT_FOUND"), new Error("bug")]) {
    let tries = 0;
    const work = (): Promise<never> => {
      tries += 1;
      return Promise.reject(error);
    };
    await expect(retry({ ...quick, tries: 3 }, work)).rejects.toBe(error);
    expect(tries).toBe(1);
  }
});

test("an aborted signal ends the tries with its reason", async () => {
  const signal = AbortSignal.abort(new Error("enough"));
  await expect(retry({ ...quick, signal, tries: 3 }, () => Promise.resolve(1))).rejects.toThrow("enough");
});
