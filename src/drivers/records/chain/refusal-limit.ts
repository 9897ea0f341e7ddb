/** Refusals that have a record of their own, per second; whoever is turned away a thousand times a second must not fill the chain. */
const RECORDED_PER_SECOND = 100;
/** So many different codes at most; there are far fewer. */
const MOST_CODES = 200;

/** Decides which refusals are recorded one by one, and counts the others by their code. */
export class RefusalLimit {
  #sinceMs = Number.NEGATIVE_INFINITY;
  #recorded = 0;
  #counts: Record<string, number> = {};

  /** @returns whether this one gets a record. */
  isRecorded(nowMs: number): boolean {
    if (nowMs - this.#sinceMs >= 1000) {
      this.#sinceMs = nowMs;
      this.#recorded = 0;
    }
    this.#recorded += 1;
    return this.#recorded <= RECORDED_PER_SECOND;
  }

  count(code: string): void {
    const name = code in this.#counts || Object.keys(this.#counts).length < MOST_CODES ? code : "other";
    this.#counts[name] = (this.#counts[name] ?? 0) + 1;
  }

  /** What was counted since the last time. */
  take(): Readonly<Record<string, number>> {
    const counts = this.#counts;
    this.#counts = {};
    return counts;
  }

  get isEmpty(): boolean {
    return Object.keys(this.#counts).length === 0;
  }
}
