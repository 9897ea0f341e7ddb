import { chmod, mkdir } from "node:fs/promises";
import { dirname } from "node:path";
import type Database from "libsql";
import type { Journal, JournalEntry, Log } from "../../core/index.ts";
import { translate } from "./translate-failure.ts";

export interface JournalOptions {
  /** The database file; its folder is made. */
  readonly file: string;
  readonly log: Log;
  /** How long entries may wait for others to be written with them. */
  readonly delayMs?: number;
}

const TABLE = `CREATE TABLE IF NOT EXISTS journal (
  number INTEGER PRIMARY KEY,
  kind TEXT NOT NULL,
  bytes BLOB NOT NULL
) STRICT`;

/** As libsql gives it: bytes without a view on them. */
interface JournalRow {
  readonly number: number;
  readonly kind: string;
  readonly bytes: ArrayBuffer;
}

const DELAY_MS = 20;

/**
 * Opens a journal in a SQLite file of its own.
 *
 * @throws {@link ExecutorError} RECORDS_UNAVAILABLE, DISK_FULL.
 */
export async function openJournal({ file, log, delayMs = DELAY_MS }: JournalOptions): Promise<Journal> {
  try {
    await mkdir(dirname(file), { recursive: true, mode: 0o700 });
    const libsql = await import("libsql");
    const connection = new libsql.default(file);
    connection.pragma("journal_mode = WAL");
    connection.pragma("synchronous = FULL");
    connection.exec(TABLE);
    await chmod(file, 0o600);
    return new DiskJournal(connection, log, delayMs);
  } catch (error) {
    throw translate(error);
  }
}

class DiskJournal implements Journal {
  readonly kept: readonly JournalEntry[];
  readonly #connection: Database.Database;
  readonly #log: Log;
  readonly #delayMs: number;
  readonly #added = new Map<number, JournalEntry>();
  readonly #removed = new Set<number>();
  #timer: NodeJS.Timeout | undefined;

  constructor(connection: Database.Database, log: Log, delayMs: number) {
    this.#connection = connection;
    this.#log = log;
    this.#delayMs = delayMs;
    const rows = connection
      .prepare("SELECT number, kind, bytes FROM journal ORDER BY number")
      .all() as readonly JournalRow[];
    this.kept = rows.map(({ number, kind, bytes }) => ({ number, kind, bytes: new Uint8Array(bytes) }));
  }

  add(entry: JournalEntry): void {
    this.#added.set(entry.number, entry);
    this.#writeSoon();
  }

  remove(numbers: readonly number[]): void {
    for (const number of numbers) {
      if (this.#added.delete(number)) continue;
      this.#removed.add(number);
      this.#writeSoon();
    }
  }

  [Symbol.asyncDispose](): Promise<void> {
    clearTimeout(this.#timer);
    this.#write();
    if (this.#connection.open) this.#connection.close();
    return Promise.resolve();
  }

  #writeSoon(): void {
    this.#timer ??= setTimeout(() => this.#write(), this.#delayMs);
  }

  /** One transaction. What a full disk refuses is kept for the next one. */
  #write(): void {
    this.#timer = undefined;
    if (this.#added.size === 0 && this.#removed.size === 0) return;
    try {
      const insert = this.#connection.prepare("INSERT OR REPLACE INTO journal VALUES (?, ?, ?)");
      const drop = this.#connection.prepare("DELETE FROM journal WHERE number = ?");
      const write = this.#connection.transaction(() => {
        for (const { number, kind, bytes } of this.#added.values())
          insert.run(number, kind, Buffer.from(bytes));
        for (const number of this.#removed) drop.run(number);
      });
      write();
      this.#added.clear();
      this.#removed.clear();
    } catch (error) {
      this.#log.log("error", "state.failed", { error: translate(error) });
    }
  }
}
