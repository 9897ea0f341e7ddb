import type { KeyObject } from "node:crypto";
import type Database from "libsql";
import type {
  AttemptEntry,
  AttemptFilter,
  ChainEntry,
  Checkpoint,
  Receipt,
  ReceiptKey,
  ReceiptLimits,
} from "../../../core/index.ts";
import { BLOCK_ENTRIES } from "../../../core/index.ts";
import { digestOf, GENESIS, signCheckpoint, signEnd } from "../../../std/receipts/index.ts";
import type { BlockRow } from "./chain-tables.ts";
import { CHAIN_STATEMENTS } from "./chain-tables.ts";
import { blockLines, checkpointOf, endLines, HASH_BYTES, hashOf } from "./chain-text.ts";
import { findAttempts } from "./find-attempts.ts";
import type { NewEntry } from "./new-entry.ts";
import { markEntry } from "./new-entry.ts";
import { OpenBlock } from "./open-block.ts";

type Statements = Readonly<Record<keyof typeof CHAIN_STATEMENTS, Database.Statement>>;
type OldBlock = Pick<BlockRow, "first" | "last" | "head" | "bytes" | "to_us">;

/** Of a row, besides its entries and hashes. */
const ROW_BYTES = 400;
/** Once a bound is passed so much of it is left, so that not every batch has something to drop. */
const LEFT_AFTER_PRUNING = 0.95;
/** Too old is looked for this often. */
const AGE_CHECK_US = 60_000_000;

export interface ChainStoreOptions {
  /** With the tables made; the store closes it. */
  readonly connection: Database.Database;
  readonly privateKey: KeyObject;
  readonly key: ReceiptKey;
  readonly limits: ReceiptLimits;
  /** Wall clock, microseconds since the epoch. */
  readonly nowUs: () => number;
}

/** Where the chain stands. */
export interface ChainPosition {
  readonly seq: number;
  readonly head: Buffer;
  readonly records: number;
  readonly bytes: number;
}

/** An export on its way: what was asked for, and what has been given out. */
export interface ExportState {
  readonly from: number;
  readonly to: number;
  /** The newest entry when it began. */
  readonly newest: number;
  /** Of what was given out; 0 before the first block. */
  readonly first: number;
  readonly last: number;
  readonly head: string;
}

/** The chain in one SQLite file, all on this thread. What is appended is there as a whole, or not at all. */
export class ChainStore {
  readonly #options: ChainStoreOptions;
  readonly #sql: Statements;
  #at: ChainPosition;
  #ageCheckedUs = Number.NEGATIVE_INFINITY;

  constructor(options: ChainStoreOptions) {
    const { connection } = options;
    this.#options = options;
    this.#sql = Object.fromEntries(
      Object.entries(CHAIN_STATEMENTS).map(([name, sql]) => [name, connection.prepare(sql)]),
    ) as Statements;
    const newest = this.#sql.newest.get() as Pick<BlockRow, "last" | "head"> | undefined;
    const totals = this.#sql.totals.get() as Pick<ChainPosition, "records" | "bytes">;
    this.#at = { seq: newest?.last ?? 0, head: newest?.head ?? GENESIS, ...totals };
  }

  get position(): ChainPosition {
    return this.#at;
  }

  /** The newest entry, if there is one. */
  newest(): ChainEntry | undefined {
    const row = this.#sql.newest.get() as BlockRow | undefined;
    const text = row?.entries.toString().split("\n").at(-1);
    return text === undefined ? undefined : (JSON.parse(text) as ChainEntry);
  }

  /** Drops what is beyond the limits, says so in the chain, and appends the entries that `make` numbers from what it is given. */
  append(make: (seq: number) => Iterable<NewEntry>): void {
    const before = this.#at;
    try {
      this.#options.connection.transaction(() => {
        const block = new OpenBlock();
        const add = (entry: NewEntry): void => {
          block.add(entry);
          if (block.count === BLOCK_ENTRIES) this.#close(block);
        };
        const pruned = this.#prune();
        if (pruned !== undefined) add(pruned);
        for (const entry of make(this.#at.seq + block.count + 1)) add(entry);
        if (block.count > 0) this.#close(block);
      })();
    } catch (error) {
      this.#at = before;
      throw error;
    }
  }

  list(filter: AttemptFilter): AttemptEntry[] {
    const before = filter.beforeSeq ?? Number.MAX_SAFE_INTEGER;
    return findAttempts(
      this.#sql.before.all(before) as BlockRow[],
      (first) => (this.#sql.entries.get(first) as Pick<BlockRow, "entries">).entries,
      filter,
    );
  }

  get(id: string): AttemptEntry | undefined {
    const found = this.#find(id);
    return found && (JSON.parse(found.text) as AttemptEntry);
  }

  receipt(id: string): Receipt | undefined {
    const found = this.#find(id);
    if (found === undefined) return undefined;
    const { row, text, texts, index } = found;
    const after = this.#sql.following.get(row.last + 1) as Pick<BlockRow, "hashes"> | undefined;
    return {
      entry: JSON.parse(text) as AttemptEntry,
      canonical: text,
      prev: index === 0 ? row.prev.toString("hex") : hashOf(row, index - 1),
      hash: hashOf(row, index),
      next: index + 1 < texts.length ? hashOf(row, index + 1) : after?.hashes.toString("hex", 0, HASH_BYTES),
      following: texts.slice(index + 1).map((other) => digestOf(other).toString("hex")),
      checkpoint: this.#checkpointOf(row),
      signature: row.signature.toString("base64url"),
      key: this.#options.key,
    };
  }

  beginExport(from: number, to: number): ExportState {
    const newest = this.#at.seq;
    return { from, to: Math.min(to, newest), newest, first: 0, last: 0, head: GENESIS.toString("hex") };
  }

  /** The next block's lines, or the end's. @throws RangeError when blocks were dropped while it went on. */
  exportNext(state: ExportState): { readonly text: string; readonly state: ExportState | undefined } {
    const from = state.first === 0 ? state.from : state.last + 1;
    const row = this.#sql.next.get(from, state.to) as BlockRow | undefined;
    if (row === undefined) return { text: this.#endOf(state), state: undefined };
    if (state.first !== 0 && row.first !== state.last + 1) {
      throw new RangeError("the entries that come next were dropped meanwhile");
    }
    const head = row.head.toString("hex");
    const first = state.first === 0 ? row.first : state.first;
    return {
      text: blockLines(row, this.#checkpointOf(row)),
      state: { ...state, first, last: row.last, head },
    };
  }

  close(): void {
    this.#options.connection.close();
  }

  #endOf({ first, last, head, newest }: ExportState): string {
    const { key, privateKey, nowUs } = this.#options;
    const end = { chain: key.chain, first, last, head, newest, atUs: nowUs() };
    return endLines(end, signEnd(end, privateKey));
  }

  #find(
    id: string,
  ):
    | { readonly row: BlockRow; readonly texts: string[]; readonly text: string; readonly index: number }
    | undefined {
    const mark = `"id":${JSON.stringify(id)},`;
    const others = this.#sql.byOtherId.all(id) as Pick<BlockRow, "first">[];
    const places = others.length > 0 ? others : (this.#sql.byId.all(id, id) as Pick<BlockRow, "first">[]);
    for (const { first } of places) {
      const row = this.#sql.block.get(first) as BlockRow;
      if (row.entries.indexOf(mark) < 0) continue;
      const texts = row.entries.toString().split("\n");
      // What was asked for could stand in another text of an entry.
      const index = texts.findIndex(
        (one) => one.includes(mark) && (JSON.parse(one) as AttemptEntry).id === id,
      );
      const text = texts[index];
      if (text !== undefined) return { row, texts, text, index };
    }
    return undefined;
  }

  /** Links a block's entries, signs it and stores it; then it is empty again. */
  #close(block: OpenBlock): void {
    const { privateKey, key, nowUs } = this.#options;
    const { seq, head: prev, records, bytes: had } = this.#at;
    const { text, hashes, count, minId, maxId, fromUs, toUs, otherIds } = block.take(prev);
    const head = Buffer.from(hashes.subarray(-HASH_BYTES));
    const [first, last, atUs] = [seq + 1, seq + count, nowUs()];
    const checkpoint = {
      chain: key.chain,
      first,
      last,
      prev: prev.toString("hex"),
      head: head.toString("hex"),
      atUs,
    };
    const signature = signCheckpoint(checkpoint, privateKey);
    const bytes = text.length + hashes.length + ROW_BYTES;
    this.#sql.insert.run(
      ...[first, last, prev, head, atUs, signature, text, hashes, bytes, minId, maxId, fromUs, toUs],
    );
    for (const id of otherIds) this.#sql.addId.run(id, first);
    this.#at = { seq: last, head, records: records + count, bytes: had + bytes };
  }

  /** @returns what the chain is to say of it. */
  #prune(): NewEntry | undefined {
    const { limits, nowUs } = this.#options;
    const { records, bytes } = this.#at;
    const isTooMuch = records > limits.records || bytes > limits.bytes;
    const isDue = nowUs() - this.#ageCheckedUs >= AGE_CHECK_US;
    if (!isTooMuch && !isDue) return undefined;
    this.#ageCheckedUs = nowUs();
    const left = isTooMuch ? LEFT_AFTER_PRUNING : 1;
    let dropped: OldBlock | undefined;
    for (;;) {
      const row = this.#sql.oldest.get() as OldBlock | undefined;
      // The newest block stays: it says where the chain stands.
      if (row === undefined || row.last === this.#at.seq || !this.#isBeyond(row, left)) break;
      this.#sql.drop.run(row.first);
      const { records: had, bytes: size } = this.#at;
      this.#at = { ...this.#at, records: had - (row.last - row.first + 1), bytes: size - row.bytes };
      dropped = row;
    }
    if (dropped === undefined) return undefined;
    const { last, head } = dropped;
    const seq = this.#at.seq + 1;
    return markEntry({ type: "pruned", seq, atUs: nowUs(), last, head: head.toString("hex") });
  }

  #isBeyond(row: OldBlock, left: number): boolean {
    const { limits, nowUs } = this.#options;
    const { records, bytes } = this.#at;
    if (row.to_us < nowUs() - limits.ageMs * 1000) return true;
    return records > limits.records * left || bytes > limits.bytes * left;
  }

  #checkpointOf(row: BlockRow): Checkpoint {
    return checkpointOf(row, this.#options.key.chain);
  }
}
