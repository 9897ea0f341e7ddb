/** What is known of the file system that jobs write to, and of those that run there. */
export interface DiskFacts {
  readonly totalBytes: number;
  /** What anybody may still write. */
  readonly freeBytes: number;
  /** What the work folders of running jobs take of the rest. */
  readonly usedBytes: number;
  /** What those jobs may take together, each to its own limit. */
  readonly promisedBytes: number;
}

export interface DiskLimits {
  /** Kept free of jobs, so that their results can still be packed and other programs go on; `undefined`: a part of the whole. */
  readonly reserveBytes: number | undefined;
  /** Of a job that does not say; `undefined`: an equal part of what there is. */
  readonly jobBytes: number | undefined;
  /** Into so many. */
  readonly parts: number;
}

const RESERVED_PART = 0.05;
const MOST_RESERVED_BYTES = 2 ** 30;

/** `grant`: it may write so much. `wait`: when others have ended. `never`: not even alone. */
export type DiskAnswer = { readonly type: "grant" | "wait" | "never"; readonly bytes: number };

export function diskReserve({ totalBytes }: Pick<DiskFacts, "totalBytes">, limits: DiskLimits): number {
  return limits.reserveBytes ?? Math.min(MOST_RESERVED_BYTES, Math.floor(totalBytes * RESERVED_PART));
}

/**
 * Whether one more job fits, so that all of them together, each at its limit, leave the reserve free.
 *
 * @param wishBytes `undefined`: it does not say.
 */
export function diskAnswer(facts: DiskFacts, limits: DiskLimits, wishBytes: number | undefined): DiskAnswer {
  const room = facts.freeBytes + facts.usedBytes - diskReserve(facts, limits);
  const part = Math.floor(room / limits.parts);
  // Less will do than the part of a job that was promised more when there was more.
  const share = Math.min(part, Math.max(Math.ceil(part / 2), room - facts.promisedBytes));
  const bytes = wishBytes ?? limits.jobBytes ?? share;
  if (bytes <= 0) return { type: "wait", bytes };
  if (facts.promisedBytes + bytes <= room) return { type: "grant", bytes };
  // What others than jobs have filled may be emptied, but a disk does not grow.
  const isTooSmall = bytes > facts.totalBytes - diskReserve(facts, limits);
  return { type: isTooSmall ? "never" : "wait", bytes };
}
