/** One entry of a journal. Its number is the caller's, unique and rising. */
export interface JournalEntry {
  readonly number: number;
  readonly kind: string;
  readonly bytes: Uint8Array;
}

/**
 * Entries that must outlive the daemon. `add` and `remove` return at once and are written behind the caller's back, together
 * and soon; an entry that is removed before that was never written. What was not written when the process is killed is
 * lost: entries of some tens of milliseconds, removals of a second, whose entries are then kept once more.
 */
export interface Journal extends AsyncDisposable {
  /** What an earlier life left, by number. */
  readonly kept: readonly JournalEntry[];
  add(entry: JournalEntry): void;
  remove(numbers: readonly number[]): void;
}
