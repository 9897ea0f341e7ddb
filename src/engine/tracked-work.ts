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

  /** Resolves once everything added so far is over. */
  async settled(): Promise<void> {
    await Promise.all(this.#running);
  }
}
