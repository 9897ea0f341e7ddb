import { mkdir, rename, rm } from "node:fs/promises";
import { dirname } from "node:path";
import type Database from "libsql";
import type { Journal, JournalEntry, Log } from "../../core/index.ts";
import { makePrivate } from "./make-private.ts";
import { transact } from "./transact.ts";
import { codeOf, translateAt } from "./translate-failure.ts";

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
/** What is removed goes with the next entries if they come by then: who finds it there after all only tells it twice. */
const REMOVED_DELAY_MS = 1_000;

/** What SQLite says of a file that is no database, or no whole one. */
const DAMAGED = /^SQLITE_(NOTADB|CORRUPT)/;

/**
 * Opens a journal in a SQLite file of its own. A damaged file is set aside and a new one begun: what waited in it is lost, and
 * nothing else here stands still for it.
 *
 * @throws {@link ExecutorError} RECORDS_UNAVAILABLE, DISK_FULL.
 */
export async function openJournal({ file, log, delayMs = DELAY_MS }: JournalOptions): Promise<Journal> {
  try {
    await mkdir(dirname(file), { recursive: true, mode: 0o700 });
    try {
      return await openFile(file, log, delayMs);
    } catch (error) {
      if (!DAMAGED.test(codeOf(error))) throw error;
      const keptAs = await setAside(file);
      log.log("warn", "journal.set-aside", { file, keptAs, error: translateAt(error, file) });
    }
    return await openFile(file, log, delayMs);
  } catch (error) {
    throw translateAt(error, file);
  }
}

async function openFile(file: string, log: Log, delayMs: number): Promise<Journal> {
  const libsql = await import("libsql");
  makePrivate(file);
  const connection = new libsql.default(file);
  try {
    connection.pragma("journal_mode = WAL");
    connection.pragma("synchronous = FULL");
    connection.exec(TABLE);
    return new DiskJournal(connection, file, log, delayMs);
  } catch (error) {
    connection.close();
    throw error;
  }
}

/** The last damaged one is kept for whoever wants to look at it. */
async function setAside(file: string): Promise<string> {
  const kept = `${file}.damaged`;
  await rename(file, kept);
  // The log of a file belongs to no other one.
  await Promise.all(["-wal", "-shm"].map((end) => rm(`${file}${end}`, { force: true })));
  return kept;
}

class DiskJournal implements Journal {
  readonly kept: readonly JournalEntry[];
  readonly #connection: Database.Database;
  readonly #file: string;
  readonly #log: Log;
  readonly #delayMs: number;
  readonly #write: () => void;
  readonly #added = new Map<number, JournalEntry>();
  readonly #removed = new Set<number>();
  #timer: NodeJS.Timeout | undefined;
  #lateTimer: NodeJS.Timeout | undefined;

  constructor(connection: Database.Database, file: string, log: Log, delayMs: number) {
    this.#connection = connection;
    this.#file = file;
    this.#log = log;
    this.#delayMs = delayMs;
    const rows = connection
      .prepare("SELECT number, kind, bytes FROM journal ORDER BY number")
      .all() as readonly JournalRow[];
    this.#write = this.#prepareWrite();
    this.kept = rows.map(({ number, kind, bytes }) => ({ number, kind, bytes: new Uint8Array(bytes) }));
  }

  add(entry: JournalEntry): void {
    this.#added.set(entry.number, entry);
    this.#timer ??= setTimeout(() => this.#flush(), this.#delayMs);
  }

  remove(numbers: readonly number[]): void {
    for (const number of numbers) {
      if (this.#added.delete(number)) continue;
      this.#removed.add(number);
      this.#lateTimer ??= setTimeout(() => this.#flush(), REMOVED_DELAY_MS);
    }
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.#flush();
    if (this.#connection.open) this.#connection.close();
    return Promise.resolve();
  }

  /** One transaction. What a full disk refuses is kept for the next one. */
  #flush(): void {
    clearTimeout(this.#timer);
    clearTimeout(this.#lateTimer);
    this.#timer = undefined;
    this.#lateTimer = undefined;
    if (this.#added.size === 0 && this.#removed.size === 0) return;
    try {
      this.#write();
      this.#added.clear();
      this.#removed.clear();
    } catch (error) {
      this.#log.log("error", "state.failed", { error: translateAt(error, this.#file) });
    }
  }

  #prepareWrite(): () => void {
    const insert = this.#connection.prepare("INSERT OR REPLACE INTO journal VALUES (?, ?, ?)");
    const drop = this.#connection.prepare("DELETE FROM journal WHERE number = ?");
    return () =>
      transact(this.#connection, () => {
        for (const { number, kind, bytes } of this.#added.values())
          insert.run(number, kind, Buffer.from(bytes));
        for (const number of this.#removed) drop.run(number);
      });
  }
}
