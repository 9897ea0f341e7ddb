/** For how long one walk keeps everybody else waiting. */
const TURN_MS = 2;

/**
 * For walks over files of this host by calls that wait: one answers in some microseconds, where a call that goes through a thread takes
 * ten times the CPU. Asked between two of them, it lets others have their turn when this one was long enough.
 */
export class ShortTurns {
  #untilMs = performance.now() + TURN_MS;

  /** Resolves when it goes on, with `undefined` instead of a promise when that is at once. */
  pass(): Promise<void> | undefined {
    return performance.now() < this.#untilMs ? undefined : this.#othersFirst();
  }

  async #othersFirst(): Promise<void> {
    await new Promise((resolve) => setImmediate(resolve));
    this.#untilMs = performance.now() + TURN_MS;
  }
}
