import type { Clock } from "../core/index.ts";

/** Those who wait for the sandboxes to come into some state. */
export class Watchers {
  readonly #clock: Clock;
  readonly #checks = new Set<() => void>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Some sandbox changed. */
  notify(): void {
    if (this.#checks.size === 0) return;
    for (const check of [...this.#checks]) check();
  }

  /** Resolves once `isSo` holds after a change, or when the time is over. */
  async until(isSo: () => boolean, waitMs = Number.POSITIVE_INFINITY): Promise<void> {
    if (isSo()) return;
    await new Promise<void>((resolve) => {
      let cancel = (): void => undefined;
      const done = (): void => {
        cancel();
        this.#checks.delete(check);
        resolve();
      };
      const check = (): void => {
        if (isSo()) done();
      };
      this.#checks.add(check);
      if (waitMs !== Number.POSITIVE_INFINITY) cancel = this.#clock.after(waitMs, done);
    });
  }
}
