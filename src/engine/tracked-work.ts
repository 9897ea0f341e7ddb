import type { Clock } from "../core/index.ts";
import { settledWithin } from "../std/settled-within.ts";

/** How long the end waits for work that is under way. */
const PATIENCE_MS = 5000;

/** Work that nobody waits for until the end. */
export class TrackedWork {
  readonly #onFailure: (error: unknown) => void;
  readonly #running = new Set<Promise<void>>();

  constructor(onFailure: (error: unknown) => void) {
    this.#onFailure = onFailure;
  }

  add(work: Promise<void>): void {
    const settled: Promise<void> = work.catch(this.#onFailure).finally(() => this.#running.delete(settled));
    this.#running.add(settled);
  }

  /** Resolves once everything added so far is over; what takes too long is left to itself, for it may never end. */
  async settledSoon(clock: Clock): Promise<void> {
    await settledWithin(Promise.all(this.#running), PATIENCE_MS, clock);
  }
}
