/** Stands for the place of a call that is not among those that run. */
export const NOT_RUNNING = -1;

/** A call that can be among those that run. */
export interface CanRun {
  /** Its place among them, `NOT_RUNNING` at first; only `RunningCalls` writes it. */
  runningAt: number;
}

/**
 * The calls that have a slot now, in no particular order; they come and go thousands of times a second. Each knows its place, so
 * that taking one off moves one other. Not a `Set`: that moves to a new table every few dozen calls, and a table that is left keeps
 * the calls that were in it and leads to the next one. Once the collector has put one table where it seldom looks, all calls that
 * come later stay in memory behind it until it does: that was 700 bytes for each, and most of the collector's work.
 */
export class RunningCalls<Call extends CanRun> implements Iterable<Call> {
  readonly #all: Call[] = [];

  get size(): number {
    return this.#all.length;
  }

  /** @param call one that is not in it. */
  add(call: Call): void {
    call.runningAt = this.#all.push(call) - 1;
  }

  /** Does nothing for one that is not in it. */
  delete(call: Call): void {
    const at = call.runningAt;
    if (at === NOT_RUNNING) return;
    call.runningAt = NOT_RUNNING;
    const last = this.#all.pop();
    if (last === undefined || last === call) return;
    this.#all[at] = last;
    last.runningAt = at;
  }

  /** Those that are in it when it is asked; they may come and go meanwhile. */
  [Symbol.iterator](): Iterator<Call> {
    return [...this.#all][Symbol.iterator]();
  }
}
