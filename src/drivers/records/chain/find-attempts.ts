import type { AttemptEntry, AttemptFilter } from "../../../core/index.ts";
import type { BlockRow } from "./chain-tables.ts";

/**
 * The newest attempts that a filter lets through, by their ids, which sort by time. Attempts stand in the order of their ends, so
 * a block may hold some that are older than those of the block before it: looking ends where no block can hold a newer one.
 *
 * @param blocks by their newest id, newest first.
 */
export function findAttempts(
  blocks: readonly Pick<BlockRow, "first" | "max_id" | "to_us">[],
  entriesOf: (first: number) => Buffer,
  filter: AttemptFilter,
): AttemptEntry[] {
  const { limit, sinceUs } = filter;
  const marks = marksOf(filter);
  let found: AttemptEntry[] = [];
  for (const { first, max_id: maxId, to_us: toUs } of blocks) {
    const oldest = found.length >= limit ? found.at(-1) : undefined;
    if (oldest !== undefined && maxId < oldest.id) break;
    if (sinceUs !== undefined && toUs < sinceUs) continue;
    const entries = entriesOf(first);
    if (marks.some((mark) => entries.indexOf(mark) < 0)) continue;
    for (const text of entries.toString().split("\n")) {
      if (marks.some((mark) => !text.includes(mark))) continue;
      const entry = JSON.parse(text) as AttemptEntry;
      if (entry.kind === "attempt" && isWanted(entry, filter)) found.push(entry);
    }
    found.sort((a, b) => (a.id < b.id ? 1 : -1));
    found = found.slice(0, limit);
  }
  return found;
}

/** Texts that an entry must hold to be wanted; far cheaper to look for than to parse every entry. */
function marksOf({ image, outcome }: AttemptFilter): string[] {
  const marks: string[] = [];
  if (image !== undefined) marks.push(`"image":${JSON.stringify(image)}`);
  if (outcome !== undefined && /^[A-Z]/.test(outcome)) marks.push(`"error":${JSON.stringify(outcome)}`);
  else if (outcome !== undefined && /^\d/.test(outcome)) marks.push(`"status":${outcome},`);
  else if (outcome !== undefined) marks.push(`"end":${JSON.stringify(outcome)}`);
  return marks;
}

function isWanted(entry: AttemptEntry, { before, image, outcome, sinceUs }: AttemptFilter): boolean {
  if (before !== undefined && entry.id >= before) return false;
  if (sinceUs !== undefined && entry.acceptedAtUs < sinceUs) return false;
  if (image !== undefined && entry.image !== image) return false;
  if (outcome === undefined) return true;
  return entry.end === outcome || entry.error === outcome || String(entry.status) === outcome;
}
