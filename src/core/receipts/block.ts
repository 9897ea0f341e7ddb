import type { AttemptEntry, MarkEntry, Reading } from "./entry.ts";

/** Attempts in one block at most: so many have one signature, and one row of the store. */
export const BLOCK_ATTEMPTS = 4096;

/**
 * What differs from attempt to attempt, in the order in which a block's text has it. The phases stand under their own names
 * (their sum is `wallUs`), `form` says which of the forms it has; `cpuUs` and `memoryPeakBytes` are -1 where they are not known.
 */
export const BLOCK_COLUMNS = [
  "acceptedAtUs",
  "answer",
  "bytesIn",
  "bytesOut",
  "cpuUs",
  "create",
  "firstByte",
  "form",
  "memoryPeakBytes",
  "pull",
  "queued",
  "ready",
  "start",
] as const;
export type BlockColumn = (typeof BLOCK_COLUMNS)[number];

/** What many attempts of a block have in common: an attempt without its numbers. */
export type AttemptForm = Omit<
  AttemptEntry,
  "seq" | "id" | "used" | "acceptedAtUs" | "wallUs" | "phasesUs"
> & {
  readonly reading: Reading;
};

/** One number that all have, or as many as there are attempts: the first, then what each has more than the one before. */
export type ColumnValues = number | readonly number[];

/** Ids of one length that begin and end alike: `middle` holds what is between, one after the other. */
export interface AlikeIds {
  readonly middle: string;
  readonly prefix: string;
  readonly suffix: string;
}

export interface BlockAttempts {
  readonly columns: Readonly<Record<BlockColumn, ColumnValues>>;
  readonly count: number;
  readonly forms: readonly AttemptForm[];
  readonly ids: AlikeIds | readonly string[];
}

type WithoutSeq<Entry> = Entry extends unknown ? Omit<Entry, "seq"> : never;
/** An entry that is no attempt, before it has its place. */
export type Mark = WithoutSeq<MarkEntry>;

/** What is hashed, signed and stored as one, spelt as `canonical` does: its marks, then its attempts. `first` is the `seq` of the first of them. */
export interface BlockBody {
  readonly attempts?: BlockAttempts;
  readonly first: number;
  readonly marks: readonly Mark[];
}
