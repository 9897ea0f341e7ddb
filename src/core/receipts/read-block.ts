import type { AlikeIds, AttemptForm, BlockAttempts, BlockBody, BlockColumn, ColumnValues } from "./block.ts";
import { BLOCK_COLUMNS } from "./block.ts";
import type { AttemptEntry, ChainEntry, PhasesUs, Used } from "./entry.ts";
import { ATTEMPT_PHASES } from "./entry.ts";

/** More in one block was never written. */
const MOST_ENTRIES = 1_000_000;

type Columns = Readonly<Record<BlockColumn, readonly number[] | number>>;

/** The entries of a block, made from its text when they are asked for. */
export class ReadBlock {
  /** The `seq` of the first. */
  readonly first: number;
  readonly count: number;
  readonly #body: BlockBody;
  readonly #columns: Columns | undefined;

  /** @throws Error for what is no block. */
  constructor(text: string) {
    this.#body = JSON.parse(text) as BlockBody;
    const { first, marks, attempts } = this.#body;
    if (!Number.isSafeInteger(first) || !Array.isArray(marks) || !marks.every(isMark))
      throw new TypeError("that is no block");
    this.first = first;
    this.count = marks.length + (attempts === undefined ? 0 : checked(attempts).count);
    this.#columns = attempts && columnsOf(attempts);
  }

  get last(): number {
    return this.first + this.count - 1;
  }

  /** @param index from 0. @throws TypeError where it has no such entry. */
  entry(index: number): ChainEntry {
    const { marks } = this.#body;
    const mark = marks[index];
    if (mark !== undefined) return { ...mark, seq: this.first + index };
    return this.#attempt(index - marks.length);
  }

  /** The attempts whose forms are wanted, the last one first. */
  *attemptsOf(isWanted: (form: AttemptForm) => boolean): Generator<AttemptEntry> {
    const { attempts } = this.#body;
    if (attempts === undefined || this.#columns === undefined) return;
    const wanted = attempts.forms.map(isWanted);
    if (!wanted.includes(true)) return;
    for (let index = attempts.count - 1; index >= 0; index -= 1) {
      if (wanted[at(this.#columns.form, index)] === true) yield this.#attempt(index);
    }
  }

  /** The place of an attempt by its id, from 0; `undefined`: it is not in here. */
  indexOf(id: string): number | undefined {
    const { attempts, marks } = this.#body;
    const index = attempts === undefined ? -1 : placeOf(attempts.ids, attempts.count, id);
    return index < 0 ? undefined : marks.length + index;
  }

  #attempt(index: number): AttemptEntry {
    const { marks, attempts } = this.#body;
    const columns = this.#columns;
    if (attempts === undefined || columns === undefined || index < 0 || index >= attempts.count)
      throw new TypeError("it has no such entry");
    const form = attempts.forms[at(columns.form, index)] as AttemptForm;
    const { reading, ...common } = form;
    const { phasesUs, wallUs } = phasesAt(columns, index);
    return {
      ...common,
      seq: this.first + marks.length + index,
      id: idAt(attempts.ids, attempts.count, index),
      used: { ...usedAt(columns, index), reading },
      acceptedAtUs: at(columns.acceptedAtUs, index),
      wallUs,
      phasesUs,
    };
  }
}

/** Where an id stands among those of a block; -1: nowhere. */
export function placeOf(ids: AlikeIds | readonly string[], count: number, id: string): number {
  if (!isAlike(ids)) return ids.indexOf(id);
  const { prefix, middle, suffix } = ids;
  const width = middle.length / count;
  if (id.length !== prefix.length + width + suffix.length) return -1;
  if (!id.startsWith(prefix) || !id.endsWith(suffix)) return -1;
  if (width === 0) return 0;
  const wanted = id.slice(prefix.length, prefix.length + width);
  let found = middle.indexOf(wanted);
  while (found >= 0 && found % width !== 0) found = middle.indexOf(wanted, found + 1);
  return found < 0 ? -1 : found / width;
}

function idAt(ids: AlikeIds | readonly string[], count: number, index: number): string {
  if (!isAlike(ids)) return ids[index] ?? "";
  const width = ids.middle.length / count;
  return `${ids.prefix}${ids.middle.slice(index * width, (index + 1) * width)}${ids.suffix}`;
}

function isAlike(ids: AlikeIds | readonly string[]): ids is AlikeIds {
  return !Array.isArray(ids);
}

function at(column: readonly number[] | number, index: number): number {
  return typeof column === "number" ? column : (column[index] ?? 0);
}

function usedAt(columns: Columns, index: number): Omit<Used, "reading"> {
  const [cpuUs, memoryPeakBytes] = [at(columns.cpuUs, index), at(columns.memoryPeakBytes, index)];
  return {
    bytesIn: at(columns.bytesIn, index),
    bytesOut: at(columns.bytesOut, index),
    ...(cpuUs < 0 ? {} : { cpuUs }),
    ...(memoryPeakBytes < 0 ? {} : { memoryPeakBytes }),
  };
}

/** What took no time is left out. */
function phasesAt(columns: Columns, index: number): { readonly phasesUs: PhasesUs; readonly wallUs: number } {
  const phasesUs: Partial<Record<keyof PhasesUs, number>> = {};
  let wallUs = 0;
  for (const phase of ATTEMPT_PHASES) {
    const us = at(columns[phase], index);
    if (us !== 0) phasesUs[phase] = us;
    wallUs += us;
  }
  return { phasesUs, wallUs };
}

/** Whoever checks a chain reads texts that anybody may have made. */
function checked(attempts: BlockAttempts): BlockAttempts {
  const { columns, count, forms, ids } = attempts as Partial<BlockAttempts>;
  const isCount = Number.isSafeInteger(count) && (count ?? 0) > 0 && (count ?? 0) <= MOST_ENTRIES;
  if (
    !isCount ||
    !isObject(columns) ||
    !Array.isArray(forms) ||
    !forms.every(isObject) ||
    !areIds(ids, count)
  )
    throw new TypeError("that is no block");
  return attempts;
}

function isMark(mark: unknown): boolean {
  if (!isObject(mark) || typeof mark["type"] !== "string") return false;
  return mark["type"] !== "refused" || isObject(mark["counts"]);
}

function areIds(ids: unknown, count = 0): boolean {
  if (Array.isArray(ids)) return ids.length === count && ids.every((id) => typeof id === "string");
  if (!isObject(ids)) return false;
  const { prefix, middle, suffix } = ids;
  return (
    [prefix, middle, suffix].every((part) => typeof part === "string") &&
    (middle as string).length % count === 0
  );
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function columnsOf({ columns, count, forms }: BlockAttempts): Columns {
  const read = Object.fromEntries(
    BLOCK_COLUMNS.map((name) => [name, valuesOf(columns[name], count)]),
  ) as Columns;
  for (let index = 0; index < count; index += 1) {
    if (forms[at(read.form, index)] === undefined) throw new TypeError("an attempt has no form");
  }
  return read;
}

function valuesOf(column: ColumnValues | undefined, count: number): readonly number[] | number {
  if (Number.isSafeInteger(column)) return column as number;
  if (!Array.isArray(column) || column.length !== count || !column.every(Number.isSafeInteger))
    throw new TypeError("a column is not whole");
  let value = 0;
  return column.map((more: number) => {
    value += more;
    return value;
  });
}
