import type { Clock, ErrorCode, ErrorFacts } from "../core/index.ts";
import { ExecutorError } from "../core/index.ts";
import { systemClock } from "./system-clock.ts";

export interface Deadline {
  /** Milliseconds from now. */
  readonly ms: number;
  /** What the signal's reason says when the time is over. */
  readonly code: ErrorCode;
  readonly facts?: ErrorFacts;
  /** The caller's own signal; its reason is passed on as it stands. Leave out for cleanup, which outlives its caller. */
  readonly parent?: AbortSignal | undefined;
  /** The real clock unless a test drives another. */
  readonly clock?: Clock;
}

/**
 * Runs `work` under a signal that aborts at the deadline or with its parent, and unlinks itself from the parent when `work`
 * settles.
 *
 * Settles as `work` does: it is `work` that must obey the signal. For what cannot, see `orAbort`.
 */
export async function withDeadline<T>(
  deadline: Deadline,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const { parent, clock = systemClock } = deadline;
  parent?.throwIfAborted();
  const controller = new AbortController();
  const onParent = (): void => controller.abort(parent?.reason);
  parent?.addEventListener("abort", onParent, { once: true });
  const cancelTimer = clock.after(deadline.ms, () => {
    controller.abort(new ExecutorError(deadline.code, deadline.facts ?? { afterMs: deadline.ms }));
  });
  try {
    return await work(controller.signal);
  } finally {
    cancelTimer();
    parent?.removeEventListener("abort", onParent);
  }
}

/**
 * Waits for a promise that knows no signal. Once the signal aborts it rejects with the reason, and what the promise brings
 * later goes to `release`, so that nothing made behind the caller's back is lost; a late rejection is dropped, since nobody waits for it.
 */
export function orAbort<T>(
  promise: Promise<T>,
  signal: AbortSignal,
  release: (late: T) => void = () => undefined,
): Promise<T> {
  return new Promise((resolve, reject) => {
    let isAbandoned = false;
    const onAbort = (): void => {
      isAbandoned = true;
      reject(signal.reason);
    };
    const settle = (act: () => void): void => {
      signal.removeEventListener("abort", onAbort);
      act();
    };
    if (signal.aborted) onAbort();
    else signal.addEventListener("abort", onAbort, { once: true });
    promise.then(
      (value) => settle(() => (isAbandoned ? release(value) : resolve(value))),
      (error: unknown) => settle(() => reject(error)),
    );
  });
}
