import type { Clock } from "../core/index.ts";

/** One timer for everything in the engine that only time decides. It runs when something is due, and not at all when nothing is. */
export class Ticker {
  readonly #clock: Clock;
  readonly #nextDueMs: (nowMs: number) => number;
  readonly #tick: (nowMs: number) => void;
  #dueMs = Number.POSITIVE_INFINITY;
  #cancel = (): void => undefined;

  /**
   * @param nextDueMs when something will be due, in the clock's milliseconds; infinity if nothing will.
   * @param tick does what is due.
   */
  constructor(clock: Clock, nextDueMs: (nowMs: number) => number, tick: (nowMs: number) => void) {
    this.#clock = clock;
    this.#nextDueMs = nextDueMs;
    this.#tick = tick;
  }

  /** Anything may have changed: looks through everything for what is due next. */
  arm(): void {
    this.armFor(this.#nextDueMs(this.#clock.nowMs()));
  }

  /** One thing more is due then: makes sure that the timer is not later. This is all that a warm call costs here. */
  armFor(dueMs: number): void {
    if (dueMs >= this.#dueMs) return;
    this.#cancel();
    this.#dueMs = dueMs;
    this.#cancel = this.#clock.after(Math.max(1, dueMs - this.#clock.nowMs()), () => {
      this.#dueMs = Number.POSITIVE_INFINITY;
      this.#tick(this.#clock.nowMs());
      this.arm();
    });
  }

  stop(): void {
    this.#cancel();
    this.#dueMs = Number.NEGATIVE_INFINITY;
  }
}
