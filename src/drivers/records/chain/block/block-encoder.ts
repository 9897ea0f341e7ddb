import type { BlockColumn, Mark } from "../../../../core/index.ts";
import { attemptPhases, BLOCK_ATTEMPTS, BLOCK_COLUMNS, canonical, toUs } from "../../../../core/index.ts";
import type { Rarity, SentBatch } from "../attempt-rows.ts";
import { NEVER, PLAIN_ID_BYTES, ROW, ROW_NUMBERS } from "../attempt-rows.ts";
import { BlockBytes } from "./block-bytes.ts";
import { FormTable } from "./form-table.ts";
import { idAt, writeIds, writePlainIds } from "./write-ids.ts";

/** A block's text with what its entries are found by. */
export interface EncodedBlock {
  /** Valid until the next one is encoded. */
  readonly text: Buffer;
  readonly count: number;
  /** Of ids that sort by time; empty where there is none. */
  readonly minId: string;
  readonly maxId: string;
  readonly otherIds: readonly string[];
  /** Between which its attempts were accepted, and its marks made; microseconds since the epoch. */
  readonly fromUs: number;
  readonly toUs: number;
}

/** Some attempts of a batch, by their places in it. */
export interface BatchPart {
  readonly batch: SentBatch;
  readonly from: number;
  readonly to: number;
}

type Ids = Pick<EncodedBlock, "minId" | "maxId" | "otherIds">;

const NO_IDS: Ids = { minId: "", maxId: "", otherIds: [] };

/** Writes blocks as `BlockBody` says, into memory of its own: of an attempt nothing is left that has to be collected. */
export class BlockEncoder {
  readonly #bytes = new BlockBytes();
  readonly #forms = new FormTable();
  readonly #columns = Object.fromEntries(
    BLOCK_COLUMNS.map((name) => [name, new Float64Array(BLOCK_ATTEMPTS)]),
  ) as Readonly<Record<BlockColumn, Float64Array>>;

  /** @param part at most {@link BLOCK_ATTEMPTS}. */
  encode(first: number, marks: readonly Mark[], part: BatchPart | undefined): EncodedBlock {
    const bytes = this.#bytes;
    const count = part === undefined ? 0 : part.to - part.from;
    bytes.clear();
    bytes.put("{");
    let ids = NO_IDS;
    if (part !== undefined && count > 0) {
      this.#fill(part);
      ids = this.#putAttempts(part, count);
    }
    bytes.put(`"first":${first},"marks":${canonical(marks.map((mark) => ({ ...mark })))}}`);
    const times = [...marks.map(({ atUs }) => atUs), ...this.#span(count)];
    return {
      text: bytes.text,
      count: marks.length + count,
      ...ids,
      fromUs: Math.min(...times),
      toUs: Math.max(...times),
    };
  }

  #putAttempts(part: BatchPart, count: number): Ids {
    const bytes = this.#bytes;
    let before = '"attempts":{"columns":{';
    for (const name of BLOCK_COLUMNS) {
      bytes.put(`${before}"${name}":`);
      bytes.putColumn(this.#columns[name], count);
      before = ",";
    }
    bytes.put(`},"count":${count},"forms":[${this.#forms.texts.join(",")}],"ids":`);
    const ids = this.#putIds(part, count);
    bytes.put("},");
    return ids;
  }

  #putIds({ batch, from, to }: BatchPart, count: number): Ids {
    const all: string[] = [];
    const otherIds: string[] = [];
    let [minId, maxId] = ["", ""];
    if (!hasOtherIds(batch, from, to)) {
      return { ...writePlainIds(this.#bytes, batch.ids, from, count), otherIds };
    }
    for (let slot = from; slot < to; slot += 1) {
      const other = rarityAt(batch, slot)?.id;
      const id = other ?? idAt(batch.ids, slot * PLAIN_ID_BYTES);
      all.push(id);
      if (other !== undefined) otherIds.push(other);
      else {
        if (minId === "" || id < minId) minId = id;
        if (id > maxId) maxId = id;
      }
    }
    writeIds(this.#bytes, all);
    return { minId, maxId, otherIds };
  }

  #fill({ batch, from, to }: BatchPart): void {
    const { numbers, facts, offsetUs } = batch;
    const { acceptedAtUs, bytesIn, bytesOut, cpuUs, memoryPeakBytes, form } = this.#columns;
    this.#forms.clear();
    for (let slot = from; slot < to; slot += 1) {
      const row = slot - from;
      const at = slot * ROW_NUMBERS;
      const rarity = rarityAt(batch, slot);
      const factsIndex = numbers[at + ROW.facts] ?? 0;
      const common = facts[factsIndex];
      if (common === undefined) throw new TypeError("an attempt has no facts");
      const kinds = numbers[at + ROW.kinds] ?? 0;
      const status = numbers[at + ROW.status] ?? 0;
      form[row] = this.#forms.indexOf(kinds, status, factsIndex, common, rarity);
      acceptedAtUs[row] = Math.max(0, toUs(numbers[at + ROW.accepted] ?? 0) + offsetUs);
      bytesIn[row] = numbers[at + ROW.bytesIn] ?? 0;
      bytesOut[row] = numbers[at + ROW.bytesOut] ?? 0;
      cpuUs[row] = known((numbers[at + ROW.cpu] ?? 0) * 1000);
      memoryPeakBytes[row] = known(numbers[at + ROW.peak] ?? 0);
      this.#fillPhases(row, numbers, at, rarity);
    }
  }

  #fillPhases(row: number, numbers: Float64Array, at: number, rarity: Rarity | undefined): void {
    const columns = this.#columns;
    const phases = attemptPhases({
      acceptedAtMs: numbers[at + ROW.accepted] ?? 0,
      placedAtMs: step(numbers[at + ROW.placed]),
      headAtMs: step(numbers[at + ROW.head]),
      endedAtMs: numbers[at + ROW.ended] ?? 0,
      start: rarity?.start,
    });
    columns.queued[row] = phases.queued ?? 0;
    columns.pull[row] = phases.pull ?? 0;
    columns.create[row] = phases.create ?? 0;
    columns.start[row] = phases.start ?? 0;
    columns.ready[row] = phases.ready ?? 0;
    columns.firstByte[row] = phases.firstByte ?? 0;
    columns.answer[row] = phases.answer ?? 0;
  }

  #span(count: number): readonly number[] {
    if (count === 0) return [];
    let [least, most] = [Number.MAX_SAFE_INTEGER, 0];
    const { acceptedAtUs } = this.#columns;
    for (let row = 0; row < count; row += 1) {
      const us = acceptedAtUs[row] ?? 0;
      if (us < least) least = us;
      if (us > most) most = us;
    }
    return [least, most];
  }
}

function rarityAt({ numbers, rarities }: SentBatch, slot: number): Rarity | undefined {
  const index = numbers[slot * ROW_NUMBERS + ROW.rarity] ?? NEVER;
  return index === NEVER ? undefined : rarities[index];
}

function hasOtherIds(batch: SentBatch, from: number, to: number): boolean {
  if (batch.rarities.every(({ id }) => id === undefined)) return false;
  for (let slot = from; slot < to; slot += 1) if (rarityAt(batch, slot)?.id !== undefined) return true;
  return false;
}

function step(ms: number | undefined): number | undefined {
  return ms === NEVER ? undefined : ms;
}

/** So that what it is more than an unknown one, which is -1, is exact as well. */
const MOST_KNOWN = Number.MAX_SAFE_INTEGER - 1;

/** A count as a block has it. */
function known(value: number): number {
  return Number.isNaN(value) ? -1 : Math.min(MOST_KNOWN, Math.max(0, Math.round(value)));
}
