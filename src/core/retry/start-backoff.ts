/** How often a task failed to start in a row, and when it may be tried again. */
export interface StartFailures {
  readonly count: number;
  readonly retryAtMs: number;
}

const FIRST_DELAY_MS = 1_000;
const LONGEST_DELAY_MS = 300_000;

/**
 * One failure is an accident and costs the next caller nothing; from the second in a row on, tries are 1 s, 2 s, 4 s … 5 min
 * apart, so that an image that crashes on every start cannot keep the engine busy.
 */
export function afterFailure(before: StartFailures | undefined, nowMs: number): StartFailures {
  const count = (before?.count ?? 0) + 1;
  const delayMs = count < 2 ? 0 : Math.min(LONGEST_DELAY_MS, FIRST_DELAY_MS * 2 ** Math.min(count - 2, 30));
  return { count, retryAtMs: nowMs + delayMs };
}

/** Milliseconds until the next try is allowed; 0 when it is. */
export function backoffLeftMs(failures: StartFailures | undefined, nowMs: number): number {
  return failures === undefined ? 0 : Math.max(0, failures.retryAtMs - nowMs);
}
