import type { SourceFigures } from "../../../core/index.ts";

/** Counts for as long as the source is open. */
export type Tally = { -readonly [K in Exclude<keyof SourceFigures, "buffered">]: number };

export function newTally(): Tally {
  return {
    claimed: 0,
    takenOver: 0,
    released: 0,
    committed: 0,
    lost: 0,
    deadLettered: 0,
    vanished: 0,
    reconnects: 0,
    emptied: 0,
  };
}
