import type {
  AttemptEntry,
  AttemptForm,
  BlockAttempts,
  BlockBody,
  BlockColumn,
  CanonicalValue,
  ColumnValues,
  Mark,
} from "../../src/core/index.ts";
import { ATTEMPT_PHASES, BLOCK_COLUMNS, canonical } from "../../src/core/index.ts";

/** The text of a block as `docs/receipts.md` says it, written from its entries: slowly, and apart from the daemon's own way. */
export function blockText(first: number, marks: readonly Mark[], entries: readonly AttemptEntry[]): string {
  const body: BlockBody = {
    ...(entries.length === 0 ? {} : { attempts: attemptsOf(entries) }),
    first,
    marks,
  };
  return canonical(body as unknown as CanonicalValue);
}

function attemptsOf(entries: readonly AttemptEntry[]): BlockAttempts {
  const forms: AttemptForm[] = [];
  const known = new Map<string, number>();
  const rows = entries.map((entry) => {
    const { seq: _, id: __, used, acceptedAtUs, wallUs: ___, phasesUs, ...common } = entry;
    const form = { ...common, reading: used.reading };
    const text = canonical(form as unknown as CanonicalValue);
    const index = known.get(text) ?? forms.push(form) - 1;
    known.set(text, index);
    const { bytesIn, bytesOut, cpuUs = -1, memoryPeakBytes = -1 } = used;
    const phases = Object.fromEntries(ATTEMPT_PHASES.map((phase) => [phase, phasesUs[phase] ?? 0]));
    return { acceptedAtUs, bytesIn, bytesOut, cpuUs, memoryPeakBytes, form: index, ...phases };
  }) as unknown as readonly Record<BlockColumn, number>[];
  const columns = Object.fromEntries(
    BLOCK_COLUMNS.map((name) => [name, columnOf(rows.map((row) => row[name]))]),
  ) as Record<BlockColumn, ColumnValues>;
  return { columns, count: entries.length, forms, ids: idsOf(entries.map(({ id }) => id)) };
}

function columnOf(values: readonly number[]): ColumnValues {
  if (values.every((value) => value === values[0])) return values[0] ?? 0;
  return values.map((value, index) => value - (index === 0 ? 0 : (values[index - 1] ?? 0)));
}

function idsOf(ids: readonly string[]): BlockAttempts["ids"] {
  if (!ids.every((id) => /^[0-9a-hjkmnp-tv-z]{26}$/.test(id))) return ids;
  const prefix = commonPrefix(ids);
  const rests = ids.map((id) => id.slice(prefix.length));
  const backwards = (text: string): string => Array.from(text).reverse().join("");
  const suffix = backwards(commonPrefix(rests.map(backwards)));
  const middle = rests.map((rest) => rest.slice(0, rest.length - suffix.length)).join("");
  return { middle, prefix, suffix };
}

function commonPrefix(texts: readonly string[]): string {
  const [first = ""] = texts;
  let length = first.length;
  while (!texts.every((text) => text.startsWith(first.slice(0, length)))) length -= 1;
  return first.slice(0, length);
}
