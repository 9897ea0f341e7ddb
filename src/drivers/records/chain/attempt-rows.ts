import type { AttemptFacts, GapReason, RunPlacement, StartTimes } from "../../../core/index.ts";
import { BLOCK_ATTEMPTS } from "../../../core/index.ts";

/** Attempts in one batch. */
export const BATCH_ATTEMPTS = BLOCK_ATTEMPTS;
/** What `nextRunId` gives: ids that sort by time. An id of another shape goes with the rarities. */
export const PLAIN_ID_BYTES = 26;
const PLAIN_CHARACTERS = "0123456789abcdefghjkmnpqrstvwxyz";

/** Where the numbers of one attempt stand in its row. */
export const ROW = {
  accepted: 0,
  placed: 1,
  head: 2,
  ended: 3,
  bytesIn: 4,
  bytesOut: 5,
  status: 6,
  /** Its end, start, door and reading: see `packKinds`. */
  kinds: 7,
  facts: 8,
  rarity: 9,
  cpu: 10,
  peak: 11,
} as const;
export const ROW_NUMBERS = 12;

/** Stands for a step that was not reached: no clock says it; and for an attempt without rarities. */
export const NEVER = -1;

export const STARTS = ["warm", "thawed", "cold"] as const satisfies readonly RunPlacement["start"][];

/** Four small numbers in one, each by its place in the list that names it. */
export function packKinds(end: number, start: number, door: number, reading: number): number {
  return end + start * 4 + door * 16 + reading * 64;
}

export function unpackKinds(kinds: number): Readonly<Record<"end" | "start" | "door" | "reading", number>> {
  return { end: kinds & 3, start: (kinds >> 2) & 3, door: (kinds >> 4) & 3, reading: kinds >> 6 };
}

export function withReading(kinds: number, reading: number): number {
  return (kinds & 63) + reading * 64;
}

/** What few attempts have. */
export interface Rarity {
  readonly id: string | undefined;
  readonly error: string | undefined;
  readonly exitCode: number | undefined;
  readonly signal: string | undefined;
  /** As an entry has them. */
  readonly facts: string | undefined;
  readonly start: StartTimes | undefined;
}

/** A batch on its way to the writer. */
export interface SentBatch {
  /** One row for each attempt. Like the ids, memory that both threads see; it is written again once the batch is in the chain. */
  readonly numbers: Float64Array;
  readonly ids: Uint8Array;
  readonly count: number;
  readonly facts: readonly AttemptFacts[];
  readonly rarities: readonly Rarity[];
  /** From the clock of its times to microseconds since the epoch. */
  readonly offsetUs: number;
  /** Attempts that ended before these and could not be kept, by the reason. */
  readonly lost: Readonly<Partial<Record<GapReason, number>>>;
  /** Refusals that were only counted, by their code. */
  readonly counted: Readonly<Record<string, number>>;
}

/** Memory for a batch, seen by both threads, so that nothing is copied on the way. */
export interface BatchRoom {
  readonly numbers: Float64Array;
  readonly ids: Uint8Array;
}

export function makeRoom(): BatchRoom {
  return {
    numbers: new Float64Array(new SharedArrayBuffer(BATCH_ATTEMPTS * ROW_NUMBERS * 8)),
    ids: new Uint8Array(new SharedArrayBuffer(BATCH_ATTEMPTS * PLAIN_ID_BYTES)),
  };
}

const isPlainCode = new Uint8Array(128);
for (const character of PLAIN_CHARACTERS) isPlainCode[character.charCodeAt(0)] = 1;

/** Writes an id that sorts by time. @returns whether it is one. */
export function putPlainId(ids: Uint8Array, at: number, id: string): boolean {
  if (id.length !== PLAIN_ID_BYTES) return false;
  for (let index = 0; index < PLAIN_ID_BYTES; index += 1) {
    const code = id.charCodeAt(index);
    if (code > 127 || isPlainCode[code] === 0) return false;
    ids[at + index] = code;
  }
  return true;
}
