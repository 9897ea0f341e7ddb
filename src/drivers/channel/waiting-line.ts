/** Who can stand in a line; only the line writes these. */
export interface CanWait<One> {
  /** Whether it stands in a line now. */
  isWaiting: boolean;
  /** Its neighbours there. */
  before: One | undefined;
  behind: One | undefined;
}

/**
 * The requests that wait for a connection, in the order in which they came; under load they come and go thousands of times a
 * second. Each knows its neighbours, so that any may leave at any time. Not a `Set`, which keeps those that have left in memory:
 * `RunningCalls` (src/engine/calls) says how.
 */
export class WaitingLine<One extends CanWait<One>> {
  #first: One | undefined;
  #last: One | undefined;
  #size = 0;

  get size(): number {
    return this.#size;
  }

  get first(): One | undefined {
    return this.#first;
  }

  /** @param one that is in no line. */
  add(one: One): void {
    one.isWaiting = true;
    one.before = this.#last;
    if (this.#last === undefined) this.#first = one;
    else this.#last.behind = one;
    this.#last = one;
    this.#size += 1;
  }

  /** Does nothing for one that is not in it. */
  delete(one: One): void {
    if (!one.isWaiting) return;
    const { before, behind } = one;
    if (before === undefined) this.#first = behind;
    else before.behind = behind;
    if (behind === undefined) this.#last = before;
    else behind.before = before;
    // Whoever has left leads to nobody: what is dead must not keep the living.
    one.isWaiting = false;
    one.before = undefined;
    one.behind = undefined;
    this.#size -= 1;
  }

  /** Takes the first off. */
  take(): One | undefined {
    const first = this.#first;
    if (first !== undefined) this.delete(first);
    return first;
  }
}
