/** How far one of the server's two numbered streams has been applied here (`contracts/indexify.md` 3.6). */
export class Sequence {
  #applied = 0n;

  /** What to acknowledge; unset while nothing was applied. */
  get acknowledged(): bigint | undefined {
    return this.#applied === 0n ? undefined : this.#applied;
  }

  /** After the server has taken a full state it counts from 1 again. */
  reset(): void {
    this.#applied = 0n;
  }

  /** The next item can never be had: it counts as applied. */
  skip(): void {
    this.#applied += 1n;
  }

  /**
   * Applies the items that come next, in order. One that was applied before is passed over. What cannot be applied now, and
   * whatever follows a gap, is not acknowledged.
   *
   * @param apply hands an item over; `false` if that cannot be done now.
   * @returns `gap` if a number is missing: numbers are never given anew, so asking again does not help.
   */
  take<T extends { readonly seq: bigint }>(
    items: readonly T[],
    apply: (item: T) => boolean,
  ): "done" | "later" | "gap" {
    for (const item of items) {
      if (item.seq <= this.#applied) continue;
      if (item.seq !== this.#applied + 1n) return "gap";
      if (!apply(item)) return "later";
      this.#applied = item.seq;
    }
    return "done";
  }
}
