import type { Clock } from "../../core/index.ts";

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
    for (const check of [...this.#checks]) if (this.#checks.has(check)) check();
  }

  /** Resolves once `isSo` holds after a change, or when the time is over. */
  async until(isSo: () => boolean, waitMs = Number.POSITIVE_INFINITY): Promise<void> {
    if (isSo()) return;
    await new Promise<void>((resolve) => {
      let cancel = (): void => undefined;
      const unwatch = this.when(isSo, () => {
        cancel();
        resolve();
      });
      if (waitMs === Number.POSITIVE_INFINITY) return;
      cancel = this.#clock.after(waitMs, () => {
        unwatch();
        resolve();
      });
    });
  }

  /** Calls `then` once, in the very step in which `isSo` comes to hold: at once if it does already. @returns what gives that up. */
  when(isSo: () => boolean, then: () => void): () => void {
    const check = (): void => {
      if (!isSo()) return;
      this.#checks.delete(check);
      then();
    };
    this.#checks.add(check);
    check();
    return () => {
      this.#checks.delete(check);
    };
  }
}
