import { existsSync } from "node:fs";
import { pathToFileURL } from "node:url";
import type Database from "libsql";
import type { RunId, RunMark, RunRecord, RunStore } from "../../core/index.ts";
import { DiskRunStore } from "./disk-run-store.ts";

/** The part of a store that only reads. */
export type RunReader = Pick<RunStore, "get" | "answer" | "running" | "ended">;

/**
 * Nothing is written, also not at the end, and nothing is locked: the state directory is this process's alone, and a connection
 * that the library has closed keeps its locks until its memory is reclaimed.
 *
 * @see SQLite, "Uniform Resource Identifiers" and "The OS Interface or VFS".
 */
const READ_ONLY = "mode=ro&vfs=unix-none";

/** A store that holds nothing. */
const NOTHING: RunReader = {
  get: () => Promise.resolve(undefined),
  answer: () => Promise.resolve(undefined),
  running: () => Promise.resolve([]),
  ended: () => Promise.resolve([]),
};

/**
 * Reads from a file that cannot be opened for writing now, as on a full disk, without writing a byte; the file is closed again
 * behind it. As nothing runs that could not be recorded, what has no end was lost with an earlier life.
 *
 * @throws what the database says of a file that cannot be read.
 */
export async function readRunStore<T>(file: string, read: (store: RunReader) => Promise<T>): Promise<T> {
  if (!existsSync(file)) return await read(NOTHING);
  const libsql = await import("libsql");
  const connection = new libsql.default(`${pathToFileURL(file).href}?${READ_ONLY}`);
  try {
    // Without it SQLite makes a file beside this one, which takes room.
    connection.pragma("locking_mode = EXCLUSIVE");
    return await read(hasTables(connection) ? readerOf(connection) : NOTHING);
  } finally {
    connection.close();
  }
}

function hasTables(connection: Database.Database): boolean {
  return connection.prepare("SELECT 1 FROM sqlite_master WHERE name = 'runs'").get() !== undefined;
}

function readerOf(connection: Database.Database): RunReader {
  const store = new DiskRunStore(connection, NO_LIMITS, () => 0);
  return {
    get: async (runId: RunId): Promise<RunRecord | undefined> => {
      const record = await store.get(runId);
      return record === undefined || record.end !== undefined ? record : { ...record, end: { type: "lost" } };
    },
    answer: (runId: RunId) => store.answer(runId),
    running: () => Promise.resolve([]),
    ended: (limit: number, before?: RunMark) => store.ended(limit, before),
  };
}

/** Nothing is removed by a reader. */
const NO_LIMITS = {
  runs: Number.MAX_SAFE_INTEGER,
  ageMs: Number.MAX_SAFE_INTEGER,
  bytes: Number.MAX_SAFE_INTEGER,
};
