import type { KeyObject } from "node:crypto";
import type Database from "libsql";
import type {
  AttemptEntry,
  AttemptFilter,
  AttemptLimits,
  Checkpoint,
  Receipt,
  ReceiptKey,
} from "../../../core/index.ts";
import {
  checkpointLine,
  digestOf,
  entryLine,
  GENESIS,
  linkHash,
  signCheckpoint,
} from "../../../std/receipts/index.ts";
import type { BlockRow } from "./chain-tables.ts";
import { CHAIN_STATEMENTS } from "./chain-tables.ts";
import type { NewEntry } from "./encode-batch.ts";
import { findAttempts } from "./find-attempts.ts";

type Statements = Readonly<Record<keyof typeof CHAIN_STATEMENTS, Database.Statement>>;

/** Entries under one signature: so many hashes a receipt may have to carry. */
export const BLOCK_ENTRIES = 1024;
const HASH_BYTES = 32;
/** Of a row, besides its entries and hashes. */
const ROW_BYTES = 400;

export interface ChainStoreOptions {
  /** With the tables made; the store closes it. */
  readonly connection: Database.Database;
  readonly privateKey: KeyObject;
  readonly key: ReceiptKey;
  readonly limits: AttemptLimits;
  readonly nowUs: () => number;
}

/** The chain in one SQLite file, all on this thread. What is appended is there as a whole, or not at all. */
export class ChainStore {
  limits: AttemptLimits;
  readonly #options: ChainStoreOptions;
  readonly #sql: Statements;
  #seq: number;
  #head: Buffer;
  #totals: { records: number; bytes: number };

  constructor(options: ChainStoreOptions) {
    const { connection, limits } = options;
    this.#options = options;
    this.limits = limits;
    this.#sql = Object.fromEntries(
      Object.entries(CHAIN_STATEMENTS).map(([name, sql]) => [name, connection.prepare(sql)]),
    ) as Statements;
    const newest = this.#sql.newest.get() as Pick<BlockRow, "last" | "head"> | undefined;
    this.#seq = newest?.last ?? 0;
    this.#head = newest?.head ?? GENESIS;
    this.#totals = this.#sql.totals.get() as { records: number; bytes: number };
  }

  get key(): ReceiptKey {
    return this.#options.key;
  }

  /** Of the last entry. */
  get seq(): number {
    return this.#seq;
  }

  /** Appends entries that `make` numbers from what it is given, then drops what is beyond the limits. */
  append(make: (seq: number) => readonly NewEntry[]): void {
    const [seq, head, totals] = [this.#seq, this.#head, { ...this.#totals }];
    try {
      this.#options.connection.transaction(() => {
        const entries = make(seq + 1);
        for (let at = 0; at < entries.length; at += BLOCK_ENTRIES) {
          this.#block(entries.slice(at, at + BLOCK_ENTRIES));
        }
        this.#prune();
      })();
    } catch (error) {
      this.#seq = seq;
      this.#head = head;
      this.#totals = totals;
      throw error;
    }
  }

  /** Drops what has grown too old meanwhile. */
  prune(): void {
    this.append(() => []);
  }

  list(filter: AttemptFilter): AttemptEntry[] {
    return findAttempts(
      this.#sql.before.all(filter.before ?? "~") as Pick<BlockRow, "first" | "max_id" | "to_us">[],
      (first) => (this.#sql.entries.get(first) as Pick<BlockRow, "entries">).entries,
      filter,
    );
  }

  get(id: string): AttemptEntry | undefined {
    const found = this.#find(id);
    return found === undefined ? undefined : (JSON.parse(found.texts[found.index] ?? "") as AttemptEntry);
  }

  receipt(id: string): Receipt | undefined {
    const found = this.#find(id);
    if (found === undefined) return undefined;
    const { row, texts, index } = found;
    const text = texts[index] ?? "";
    const hashAt = (at: number): string =>
      row.hashes.toString("hex", at * HASH_BYTES, (at + 1) * HASH_BYTES);
    const after = this.#sql.following.get(row.last + 1) as Pick<BlockRow, "hashes"> | undefined;
    return {
      entry: JSON.parse(text) as AttemptEntry,
      canonical: text,
      prev: index === 0 ? row.prev.toString("hex") : hashAt(index - 1),
      hash: hashAt(index),
      next: index + 1 < texts.length ? hashAt(index + 1) : after?.hashes.toString("hex", 0, HASH_BYTES),
      following: texts.slice(index + 1).map((other) => digestOf(other).toString("hex")),
      checkpoint: this.#checkpointOf(row),
      signature: row.signature.toString("base64url"),
      key: this.key,
    };
  }

  /** The lines of the next block after entry `after` that touches `from` to `to`, and that block's first entry. */
  lines(from: number, to: number, after: number): { readonly first: number; readonly text: string } | undefined {
    const row = this.#sql.next.get(from, after, to) as BlockRow | undefined;
    if (row === undefined) return undefined;
    return { first: row.first, text: blockText(row, this.#checkpointOf(row)) };
  }

  close(): void {
    this.#options.connection.close();
  }

  #find(id: string): { row: BlockRow; texts: string[]; index: number } | undefined {
    const mark = `"id":${JSON.stringify(id)}`;
    for (const row of this.#sql.byId.iterate(id, id) as Iterable<BlockRow>) {
      if (row.entries.indexOf(mark) < 0) continue;
      const texts = row.entries.toString().split("\n");
      const index = texts.findIndex((text) => text.includes(mark));
      if (index >= 0) return { row, texts, index };
    }
    return undefined;
  }

  #block(entries: readonly NewEntry[]): void {
    const { privateKey, key, nowUs } = this.#options;
    const prev = this.#head;
    const hashes = Buffer.allocUnsafe(entries.length * HASH_BYTES);
    let head = prev;
    let [minId, maxId, toUs] = ["", "", 0];
    for (const [index, { text, id, acceptedAtUs }] of entries.entries()) {
      head = linkHash(head, digestOf(text));
      hashes.set(head, index * HASH_BYTES);
      toUs = Math.max(toUs, acceptedAtUs);
      if (id === "") continue;
      if (minId === "" || id < minId) minId = id;
      if (id > maxId) maxId = id;
    }
    const first = this.#seq + 1;
    const last = this.#seq + entries.length;
    const atUs = nowUs();
    const checkpoint = { chain: key.chain, first, last, prev: hex(prev), head: hex(head), atUs };
    const signature = signCheckpoint(checkpoint, privateKey);
    const text = Buffer.from(entries.map((entry) => entry.text).join("\n"));
    const bytes = text.length + hashes.length + ROW_BYTES;
    this.#sql.insert.run(first, last, prev, head, atUs, signature, text, hashes, bytes, minId, maxId, toUs);
    this.#seq = last;
    this.#head = head;
    this.#totals.records += entries.length;
    this.#totals.bytes += bytes;
  }

  #prune(): void {
    const oldestUs = this.#options.nowUs() - this.limits.ageMs * 1000;
    for (;;) {
      const row = this.#sql.oldest.get() as Pick<BlockRow, "first" | "last" | "bytes" | "to_us"> | undefined;
      // The newest block stays: it says where the chain stands.
      if (row === undefined || row.last === this.#seq) return;
      const count = row.last - row.first + 1;
      const isTooMuch =
        this.#totals.records - count >= this.limits.records || this.#totals.bytes > this.limits.bytes;
      if (!isTooMuch && row.to_us >= oldestUs) return;
      this.#sql.drop.run(row.first);
      this.#totals.records -= count;
      this.#totals.bytes -= row.bytes;
    }
  }

  #checkpointOf(row: BlockRow): Checkpoint {
    return {
      chain: this.key.chain,
      first: row.first,
      last: row.last,
      prev: hex(row.prev),
      head: hex(row.head),
      atUs: row.at_us,
    };
  }
}

/** A block as the export has it, with what is stored, right or wrong. */
export function blockText(row: BlockRow, checkpoint: Checkpoint): string {
  const lines = row.entries
    .toString()
    .split("\n")
    .map((text, index) =>
      entryLine(text, row.hashes.toString("hex", index * HASH_BYTES, (index + 1) * HASH_BYTES)),
    );
  lines.push(checkpointLine(checkpoint, row.signature.toString("base64url")));
  return `${lines.join("\n")}\n`;
}

function hex(hash: Buffer): string {
  return hash.toString("hex");
}
