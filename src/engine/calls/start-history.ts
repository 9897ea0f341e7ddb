import type { StartFailures } from "../../core/index.ts";
import { afterFailure, backoffLeftMs, ExecutorError } from "../../core/index.ts";

/** A task that has not been tried for this long per failure, up to ten, starts with a clean slate. */
const FORGET_FAILURES_MS = 60_000;

/** How the last starts of one task came out, and when it may be tried again. */
export class StartHistory {
  #failures: StartFailures | undefined;
  #last: ExecutorError | undefined;

  succeeded(): void {
    this.#failures = undefined;
  }

  failed(error: ExecutorError, nowMs: number): void {
    if (!isHeldAgainst(error)) return;
    this.#failures = afterFailure(this.#failures, nowMs);
    this.#last = error;
  }

  /** Nothing of it would have to be remembered. */
  isForgettable(nowMs: number): boolean {
    if (backoffLeftMs(this.#failures, nowMs) > 0) return false;
    if (this.#failures === undefined) return true;
    return nowMs - this.#failures.retryAtMs > FORGET_FAILURES_MS * Math.min(10, this.#failures.count);
  }

  /** Why a start has to wait now; `undefined` if it may be tried. */
  refusal(nowMs: number): ExecutorError | undefined {
    const leftMs = backoffLeftMs(this.#failures, nowMs);
    if (leftMs <= 0) return undefined;
    // Trying later would not help whoever asked for what is not there, and must not look as if it did.
    const last = this.#last;
    if (last?.spec.retry === "never") return last;
    const failures = this.#failures?.count;
    return new ExecutorError("START_BACKOFF", {
      retryAfterMs: Math.ceil(leftMs),
      failures,
      reason: last?.message,
    });
  }
}

/**
 * Whether a failed start is a reason to wait with the next. An engine that is away, or a full disk, says nothing about the task:
 * it must start at once when the host is well again. A name that is wrong costs nothing to look at again.
 */
function isHeldAgainst({ spec, code }: ExecutorError): boolean {
  return spec.kind !== "infrastructure" && code !== "IMAGE_NAME_INVALID" && code !== "TASK_NOT_FOUND";
}
