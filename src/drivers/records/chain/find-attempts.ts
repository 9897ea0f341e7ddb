import type { AttemptEntry, AttemptFilter, AttemptForm } from "../../../core/index.ts";
import { ReadBlock } from "../../../core/index.ts";
import type { BlockRow } from "./chain-tables.ts";

/**
 * The newest attempts that a filter lets through, newest first.
 *
 * @param blocks newest first; those that hold nothing before the filter's cursor are left out already.
 */
export function findAttempts(
  blocks: Iterable<Pick<BlockRow, "first" | "from_us" | "to_us">>,
  textOf: (first: number) => Buffer,
  filter: AttemptFilter,
): AttemptEntry[] {
  const { sinceUs = 0, untilUs = Number.POSITIVE_INFINITY, limit } = filter;
  const marks = marksOf(filter);
  const found: AttemptEntry[] = [];
  for (const { first, from_us: fromUs, to_us: toUs } of blocks) {
    if (toUs < sinceUs || fromUs >= untilUs) continue;
    const text = textOf(first);
    if (marks.some((mark) => text.indexOf(mark) < 0)) continue;
    for (const entry of new ReadBlock(text.toString()).attemptsOf((form) => isForm(form, filter))) {
      if (isWithin(entry, filter)) found.push(entry);
      if (found.length === limit) return found;
    }
  }
  return found;
}

/** Texts that a block must hold to have what is wanted; far cheaper to look for than to read every block. */
function marksOf({ image, outcome, door, isolation }: AttemptFilter): string[] {
  const marks = [];
  if (image !== undefined) marks.push(`":${JSON.stringify(image)}`);
  if (outcome !== undefined)
    marks.push(/^\d/.test(outcome) ? `"status":${outcome},` : `":${JSON.stringify(outcome)}`);
  if (door !== undefined) marks.push(`"door":"${door}"`);
  if (isolation !== undefined) marks.push(`"isolation":"${isolation}"`);
  return marks;
}

/** Whether attempts of this form can be wanted. */
function isForm(form: AttemptForm, { image, outcome, door, isolation }: AttemptFilter): boolean {
  const is = (wanted: unknown, ...values: readonly unknown[]): boolean =>
    wanted === undefined || values.includes(wanted);
  return (
    is(image, form.image, form.digest) &&
    is(outcome, form.outcome, form.error, String(form.status)) &&
    is(door, form.door) &&
    is(isolation, form.isolation)
  );
}

function isWithin({ seq, acceptedAtUs }: AttemptEntry, filter: AttemptFilter): boolean {
  const { beforeSeq = Number.POSITIVE_INFINITY, sinceUs = 0, untilUs = Number.POSITIVE_INFINITY } = filter;
  return seq < beforeSeq && acceptedAtUs >= sinceUs && acceptedAtUs < untilUs;
}
