import type { KeyObject } from "node:crypto";
import type Database from "libsql";
import type {
  AttemptEntry,
  AttemptFilter,
  CanonicalValue,
  ChainEntry,
  Checkpoint,
  Mark,
  Receipt,
  ReceiptKey,
  ReceiptLimits,
} from "../../../core/index.ts";
import { BLOCK_ATTEMPTS, canonical, ExecutorError, ReadBlock } from "../../../core/index.ts";
import {
  digestOf,
  endLine,
  GENESIS,
  isSigned,
  linkHash,
  publicKeyOf,
  signCheckpoint,
  signEnd,
  signReceipt,
} from "../../../std/receipts/index.ts";
import { transact } from "../transact.ts";
import type { SentBatch } from "./attempt-rows.ts";
import type { EncodedBlock } from "./block/block-encoder.ts";
import { BlockEncoder } from "./block/block-encoder.ts";
import type { ExportState } from "./chain-export.ts";
import { BlockPieces, beginExport } from "./chain-export.ts";
import type { BlockRow } from "./chain-tables.ts";
import { CHAIN_STATEMENTS } from "./chain-tables.ts";
import { findAttempts } from "./find-attempts.ts";
import { canHold } from "./find-place.ts";

type Statements = Readonly<Record<keyof typeof CHAIN_STATEMENTS, Database.Statement>>;
type BlockTimes = Pick<BlockRow, "first" | "from_us" | "to_us">;
type OldBlock = Pick<BlockRow, "first" | "last" | "head" | "bytes" | "to_us">;

/** Of a row, besides its text. */
const ROW_BYTES = 400;
/** Once a bound is passed so much of it is left, so that not every batch has something to drop. */
const LEFT_AFTER_PRUNING = 0.95;
/** Too old is looked for this often. */
const AGE_CHECK_US = 60_000_000;
/** Blocks whose times are read in one step. */
const LOOKED_AT_ONCE = 256;
/** What goes, goes in whole blocks: where few records are kept a block is a smaller part of them than this. */
const BLOCK_SHARE = 0.1;

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

interface FoundAttempt {
  readonly row: BlockRow;
  readonly entry: AttemptEntry;
}

/** The chain in one SQLite file, all on this thread. What is appended is there as a whole, or not at all. */
export class ChainStore {
  readonly #options: ChainStoreOptions;
  readonly #sql: Statements;
  readonly #encoder = new BlockEncoder();
  readonly #pieces = new BlockPieces();
  readonly #blockAttempts: number;
  #at: ChainPosition;
  #ageCheckedUs = Number.NEGATIVE_INFINITY;

  constructor(options: ChainStoreOptions) {
    const { connection, limits } = options;
    this.#options = options;
    this.#blockAttempts = Math.min(BLOCK_ATTEMPTS, Math.max(1, Math.floor(limits.records * BLOCK_SHARE)));
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
    if (row === undefined) return undefined;
    const block = new ReadBlock(row.text.toString());
    return block.entry(block.count - 1);
  }

  /** Drops what is beyond the limits and says so in the chain, then appends the marks and the attempts of the batch. */
  append(marks: readonly Mark[], batch?: SentBatch): void {
    const before = this.#at;
    try {
      transact(this.#options.connection, () => {
        const pruned = this.#prune();
        let left = pruned === undefined ? marks : [pruned, ...marks];
        const count = batch?.count ?? 0;
        for (let from = 0; from < count || left.length > 0; from += this.#blockAttempts) {
          const to = Math.min(from + this.#blockAttempts, count);
          this.#add(this.#encoder.encode(this.#at.seq + 1, left, batch && { batch, from, to }));
          left = [];
        }
      });
    } catch (error) {
      this.#at = before;
      throw error;
    }
  }

  list(filter: AttemptFilter): AttemptEntry[] {
    return findAttempts(
      this.#before(filter.beforeSeq ?? Number.MAX_SAFE_INTEGER),
      (first) => (this.#sql.text.get(first) as Pick<BlockRow, "text">).text,
      filter,
    );
  }

  get(id: string): AttemptEntry | undefined {
    return this.#find(id)?.entry;
  }

  /** @throws {@link ExecutorError} RECORDS_UNAVAILABLE when what is stored is not what was signed: nobody may be told that it is. */
  receipt(id: string): Receipt | undefined {
    const found = this.#find(id);
    if (found === undefined) return undefined;
    const { row, entry } = found;
    const { key, privateKey, nowUs } = this.#options;
    const checkpoint = this.#checkpointOf(row);
    if (!this.#isAsSigned(row, checkpoint)) {
      const reason = `entries ${row.first} to ${row.last} were changed after they were signed`;
      throw new ExecutorError("RECORDS_UNAVAILABLE", { reason });
    }
    const text = canonical({ ...entry } as unknown as CanonicalValue);
    const statement = { canonical: text, checkpoint, atUs: nowUs() };
    const signature = signReceipt(statement, privateKey).toString("base64url");
    return { entry, ...statement, signature, key };
  }

  beginExport(from: number, to: number): ExportState {
    return beginExport(from, to, this.#at.seq);
  }

  /** The next lines, or the end's. @throws RangeError when blocks were dropped while it went on. */
  exportNext(state: ExportState): { readonly text: string; readonly state: ExportState | undefined } {
    const { open, first, last, from, to } = state;
    const row = (
      open === undefined
        ? this.#sql.next.get(first === 0 ? from : last + 1, to)
        : this.#sql.block.get(open.first)
    ) as BlockRow | undefined;
    const isNext = open === undefined && first !== 0 ? row?.first === last + 1 : row !== undefined;
    if (row === undefined && open === undefined) return { text: this.#endOf(state), state: undefined };
    if (row === undefined || !isNext)
      throw new RangeError("the entries that come next were dropped meanwhile");
    return this.#pieces.next(state, row, this.#checkpointOf(row));
  }

  close(): void {
    this.#options.connection.close();
  }

  #endOf({ first, last, head, newest }: ExportState): string {
    const { key, privateKey, nowUs } = this.#options;
    const end = { chain: key.chain, first, last, head, newest, atUs: nowUs() };
    return `${endLine(end, signEnd(end, privateKey).toString("base64url"))}\n`;
  }

  /** The blocks that begin before an entry, the last one first; there may be as many as entries. */
  *#before(seq: number): Generator<BlockTimes> {
    for (let before = seq; ; ) {
      const rows = this.#sql.before.all(before, LOOKED_AT_ONCE) as BlockTimes[];
      yield* rows;
      const last = rows.at(-1);
      if (last === undefined || rows.length < LOOKED_AT_ONCE) return;
      before = last.first;
    }
  }

  #find(id: string): FoundAttempt | undefined {
    const others = this.#sql.byOtherId.all(id) as Pick<BlockRow, "first">[];
    const places = others.length > 0 ? others : (this.#sql.byId.all(id, id) as Pick<BlockRow, "first">[]);
    for (const { first } of places) {
      const row = this.#sql.block.get(first) as BlockRow;
      if (!canHold(row.text, id)) continue;
      const block = new ReadBlock(row.text.toString());
      const index = block.indexOf(id);
      if (index !== undefined) return { row, entry: block.entry(index) as AttemptEntry };
    }
    return undefined;
  }

  #isAsSigned({ prev, head, text, signature }: BlockRow, checkpoint: Checkpoint): boolean {
    const publicKey = publicKeyOf(this.#options.key.publicKey);
    if (publicKey === undefined || !isSigned(checkpoint, signature, publicKey)) return false;
    return linkHash(prev, digestOf(text)).equals(head);
  }

  /** Links a block, signs it and stores it. */
  #add({ text, count, minId, maxId, fromUs, toUs, otherIds }: EncodedBlock): void {
    const { privateKey, key, nowUs } = this.#options;
    const { seq, head: prev, records, bytes: had } = this.#at;
    const head = linkHash(prev, digestOf(text));
    const [first, last, atUs] = [seq + 1, seq + count, nowUs()];
    const hashes = { prev: prev.toString("hex"), head: head.toString("hex") };
    const signature = signCheckpoint({ chain: key.chain, first, last, ...hashes, atUs }, privateKey);
    const bytes = text.length + ROW_BYTES;
    this.#sql.insert.run(
      ...[first, last, prev, head, atUs, signature, text, bytes, minId, maxId, fromUs, toUs],
    );
    for (const id of otherIds) this.#sql.addId.run(id, first);
    this.#at = { seq: last, head, records: records + count, bytes: had + bytes };
  }

  /** @returns what the chain is to say of it. */
  #prune(): Mark | undefined {
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
    return { type: "pruned", atUs: nowUs(), last, head: head.toString("hex") };
  }

  #isBeyond(row: OldBlock, left: number): boolean {
    const { limits, nowUs } = this.#options;
    const { records, bytes } = this.#at;
    if (row.to_us < nowUs() - limits.ageMs * 1000) return true;
    return records > limits.records * left || bytes > limits.bytes * left;
  }

  #checkpointOf({ first, last, prev, head, at_us: atUs }: BlockRow): Checkpoint {
    const { chain } = this.#options.key;
    return { chain, first, last, prev: prev.toString("hex"), head: head.toString("hex"), atUs };
  }
}
