import type { AttemptEntry, AttemptFilter, ChainEntry } from "../../../core/index.ts";
import type { BlockRow } from "./chain-tables.ts";

/**
 * The newest attempts that a filter lets through, newest first.
 *
 * @param blocks newest first; those that hold nothing before the filter's cursor are left out already.
 */
export function findAttempts(
  blocks: Iterable<Pick<BlockRow, "first" | "from_us" | "to_us">>,
  entriesOf: (first: number) => Buffer,
  filter: AttemptFilter,
): AttemptEntry[] {
  const { sinceUs = 0, untilUs = Number.POSITIVE_INFINITY, limit } = filter;
  const marks = marksOf(filter);
  const found: AttemptEntry[] = [];
  for (const { first, from_us: fromUs, to_us: toUs } of blocks) {
    if (toUs < sinceUs || fromUs >= untilUs) continue;
    const entries = entriesOf(first);
    if (marks.some((mark) => entries.indexOf(mark) < 0)) continue;
    for (const text of entries.toString().split("\n").reverse()) {
      if (marks.some((mark) => !text.includes(mark))) continue;
      const entry = JSON.parse(text) as ChainEntry;
      if (entry.type === "attempt" && isWanted(entry, filter)) found.push(entry);
      if (found.length === limit) return found;
    }
  }
  return found;
}

/** Texts that an entry must hold to be wanted; far cheaper to look for than to parse every entry. */
function marksOf({ image, outcome, door, isolation }: AttemptFilter): string[] {
  const marks = [];
  if (image !== undefined) marks.push(`":${JSON.stringify(image)}`);
  if (outcome !== undefined)
    marks.push(/^\d/.test(outcome) ? `"status":${outcome},` : `":${JSON.stringify(outcome)}`);
  if (door !== undefined) marks.push(`"door":"${door}"`);
  if (isolation !== undefined) marks.push(`"isolation":"${isolation}"`);
  return marks;
}

function isWanted(entry: AttemptEntry, filter: AttemptFilter): boolean {
  const { beforeSeq, sinceUs, untilUs, image, outcome, door, isolation } = filter;
  const is = (wanted: unknown, ...values: readonly unknown[]): boolean =>
    wanted === undefined || values.includes(wanted);
  return (
    (beforeSeq === undefined || entry.seq < beforeSeq) &&
    (sinceUs === undefined || entry.acceptedAtUs >= sinceUs) &&
    (untilUs === undefined || entry.acceptedAtUs < untilUs) &&
    is(image, entry.image, entry.digest) &&
    is(outcome, entry.outcome, entry.error, String(entry.status)) &&
    is(door, entry.door) &&
    is(isolation, entry.isolation)
  );
}
