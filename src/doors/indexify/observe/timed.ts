import type { Clock, IndexifyObserver, IndexifyOperation } from "../../../core/index.ts";

/** Who hears of what is done here, and whose time it is. */
export interface Watch {
  readonly observer: IndexifyObserver;
  readonly clock: Clock;
}

/**
 * Does a work and tells the observer how long it took and whether it failed. What throws after the signal was aborted was
 * given up: that is no failure.
 *
 * @param isFailure of a work that tells its failure instead of throwing.
 */
export async function timed<T>(
  { observer, clock }: Watch,
  operation: IndexifyOperation,
  signal: AbortSignal | undefined,
  work: () => Promise<T>,
  isFailure: (value: T) => boolean = () => false,
): Promise<T> {
  const beganAtMs = clock.nowMs();
  try {
    const value = await work();
    observer.done(operation, clock.nowMs() - beganAtMs, isFailure(value));
    return value;
  } catch (error) {
    observer.done(operation, clock.nowMs() - beganAtMs, signal?.aborted !== true);
    throw error;
  }
}

/** The same for a work that does not wait. */
export function timedNow<T>({ observer, clock }: Watch, operation: IndexifyOperation, work: () => T): T {
  const beganAtMs = clock.nowMs();
  let hasFailed = true;
  try {
    const value = work();
    hasFailed = false;
    return value;
  } finally {
    observer.done(operation, clock.nowMs() - beganAtMs, hasFailed);
  }
}
