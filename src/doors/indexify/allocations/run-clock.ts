import type { Clock } from "../../../core/index.ts";

/**
 * The time that an allocation has: it begins anew with every sign of progress, and stands still while its function waits
 * for others, or for an answer of ours (`contracts/indexify.md` 5.4).
 */
export class RunClock {
  readonly #clock: Clock;
  readonly #limitMs: number;
  readonly #onExpired: () => void;
  #leftMs: number;
  #sinceMs: number | undefined;
  #holds = 0;
  #cancel = (): void => undefined;

  /** Runs at once. */
  constructor(clock: Clock, limitMs: number, onExpired: () => void) {
    this.#clock = clock;
    this.#limitMs = limitMs;
    this.#leftMs = limitMs;
    this.#onExpired = onExpired;
    this.#go();
  }

  /** It moved on. */
  restart(): void {
    this.#halt();
    this.#leftMs = this.#limitMs;
    this.#go();
  }

  /** Stands still until every hold is let go. @returns lets go; a second call is no change. */
  hold(): () => void {
    this.#halt();
    this.#holds += 1;
    let isHeld = true;
    return () => {
      if (!isHeld) return;
      isHeld = false;
      this.#holds -= 1;
      this.#go();
    };
  }

  stop(): void {
    this.#halt();
    this.#holds = Number.POSITIVE_INFINITY;
  }

  #go(): void {
    if (this.#holds > 0 || this.#sinceMs !== undefined) return;
    this.#sinceMs = this.#clock.nowMs();
    this.#cancel = this.#clock.after(this.#leftMs, () => {
      this.stop();
      this.#onExpired();
    });
  }

  #halt(): void {
    if (this.#sinceMs === undefined) return;
    this.#cancel();
    this.#leftMs = Math.max(0, this.#leftMs - (this.#clock.nowMs() - this.#sinceMs));
    this.#sinceMs = undefined;
  }
}
