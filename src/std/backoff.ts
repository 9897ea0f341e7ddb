import { ExecutorError } from "../core/index.ts";
import { sleep } from "./sleep.ts";

export interface Backoff {
  /** The pause before the second try. */
  readonly firstMs: number;
  /** No pause is longer. */
  readonly maxMs: number;
}

/**
 * How long to wait after the `failures`-th failure (from 1): doubling from `firstMs` up to `maxMs`, then a random point in
 * the upper half of that, so that peers which failed together do not come back together.
 *
 * @param random 0 up to, not including, 1.
 */
export function backoffMs({ firstMs, maxMs }: Backoff, failures: number, random: number): number {
  const whole = Math.min(maxMs, firstMs * 2 ** Math.min(30, Math.max(0, failures - 1)));
  return whole / 2 + (whole / 2) * random;
}

export interface RetryOptions extends Backoff {
  /** Tries in all, the first one included. */
  readonly tries: number;
  readonly signal: AbortSignal;
  /** Which failures may pass by themselves; by default our own errors that say `later`. */
  readonly isWorthRetrying?: (error: unknown) => boolean;
}

/** Tries until it works, the tries are used up, or the failure is one that a further try cannot cure; then throws the last one. */
export async function retry<T>(options: RetryOptions, work: (tryNumber: number) => Promise<T>): Promise<T> {
  const isWorthRetrying = options.isWorthRetrying ?? saysLater;
  for (let tryNumber = 1; ; tryNumber += 1) {
    options.signal.throwIfAborted();
    try {
      return await work(tryNumber);
    } catch (error) {
      if (tryNumber >= options.tries || options.signal.aborted || !isWorthRetrying(error)) throw error;
    }
    await sleep(backoffMs(options, tryNumber, Math.random()), options.signal);
  }
}

function saysLater(error: unknown): boolean {
  return error instanceof ExecutorError && error.spec.retry === "later";
}
