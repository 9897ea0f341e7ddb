/** Scrapes work for so long in one turn of the event loop, all of them together; then everything else has its turn. */
const TURN_MS = 2;

/** What keeps scrapes from holding up calls, however many scrape at once: each with a time of its own would add up. */
export class ScrapeTurns {
  readonly #waiting: (() => void)[] = [];
  #beganMs: number | undefined;

  /** The time of this turn of the event loop runs from here on, unless it does already. */
  begin(): void {
    if (this.#beganMs !== undefined) return;
    this.#beganMs = performance.now();
    setImmediate(() => this.#end());
  }

  /** Whether the time is used up; who works on then waits for {@link next}. */
  isOver(): boolean {
    this.begin();
    return performance.now() - (this.#beganMs ?? 0) >= TURN_MS;
  }

  /** Resolves in a later turn of the event loop: one of those who wait in each, in the order in which they came. */
  next(): Promise<void> {
    return new Promise((resolve) => {
      this.#waiting.push(resolve);
    });
  }

  #end(): void {
    this.#beganMs = undefined;
    const next = this.#waiting.shift();
    if (next === undefined) return;
    this.begin();
    next();
  }
}
