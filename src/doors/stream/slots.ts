/** A number of places, given out in the order of asking. */
export class Slots {
  readonly #limit: number;
  #taken = 0;
  readonly #waiting: (() => void)[] = [];
  /** Called when a place comes back that nobody waits for. */
  onFree: () => void = () => undefined;

  constructor(limit: number) {
    this.#limit = limit;
  }

  get free(): number {
    return Math.max(0, this.#limit - this.#taken);
  }

  /**
   * Waits for a place; the function gives it back, once.
   *
   * @throws the signal's reason.
   */
  async take(signal: AbortSignal): Promise<() => void> {
    signal.throwIfAborted();
    if (this.#taken < this.#limit && this.#waiting.length === 0) return this.force();
    await new Promise<void>((resolve, reject) => {
      const turn = (): void => {
        signal.removeEventListener("abort", onAbort);
        resolve();
      };
      const onAbort = (): void => {
        this.#waiting.splice(this.#waiting.indexOf(turn), 1);
        reject(signal.reason);
      };
      signal.addEventListener("abort", onAbort, { once: true });
      this.#waiting.push(turn);
    });
    // The one who left has kept its place for this one.
    return this.#giver();
  }

  /** Takes a place whether there is one or not: for a job that runs already. */
  force(): () => void {
    this.#taken += 1;
    return this.#giver();
  }

  #giver(): () => void {
    let isGiven = false;
    return () => {
      if (isGiven) return;
      isGiven = true;
      const next = this.#taken <= this.#limit ? this.#waiting.shift() : undefined;
      if (next !== undefined) {
        next();
        return;
      }
      this.#taken -= 1;
      this.onFree();
    };
  }
}
