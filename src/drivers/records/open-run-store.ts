import { mkdir } from "node:fs/promises";
import { dirname } from "node:path";
import type Database from "libsql";
import type {
  Log,
  NewRun,
  RunEnding,
  RunId,
  RunLimits,
  RunMark,
  RunRecord,
  RunStore,
} from "../../core/index.ts";
import { ExecutorError } from "../../core/index.ts";
import { DiskRunStore } from "./disk-run-store.ts";
import { makePrivate } from "./make-private.ts";
import type { RunReader } from "./read-run-store.ts";
import { readRunStore } from "./read-run-store.ts";
import { STATEMENTS, TABLES, TABLES_VERSION } from "./run-tables.ts";
import { translateAt } from "./translate-failure.ts";

export const DEFAULT_RUN_LIMITS: RunLimits = {
  runs: 10_000,
  ageMs: 24 * 60 * 60 * 1000,
  bytes: 256 * 1024 * 1024,
};

export interface RunStoreOptions {
  /** The database file; its folder is made. */
  readonly file: string;
  readonly limits?: RunLimits;
  /** Wall-clock milliseconds: records outlive the process. */
  readonly nowMs?: () => number;
  readonly log: Log;
}

/**
 * A store on disk that is opened at its first use: most daemons never record a run, and the database costs memory. Opening
 * marks every run as lost that an earlier life left running.
 */
export function openRunStore(options: RunStoreOptions): RunStore {
  let opened: Promise<RunStore> | undefined;
  let isClosed = false;
  let told: string | undefined;
  const store = (): Promise<RunStore> => {
    if (isClosed) return Promise.reject(new ExecutorError("RECORDS_UNAVAILABLE", { reason: "closed" }));
    opened ??= open(options).catch((thrown: unknown) => {
      opened = undefined; // the next use tries again: the disk may have room by then
      const error = translateAt(thrown, options.file);
      // The dashboard asks every few seconds: once is news.
      if (error.message !== told)
        options.log.log("error", "state.failed", { file: options.file, error: thrown });
      told = error.message;
      throw error;
    });
    return opened;
  };
  const reading = async <T>(read: (from: RunReader) => Promise<T>): Promise<T> => {
    const writable = await store().catch((error: unknown) => {
      if (error instanceof ExecutorError && error.code === "DISK_FULL") return undefined;
      throw error;
    });
    if (writable !== undefined) return await read(writable);
    try {
      return await readRunStore(options.file, read);
    } catch (error) {
      throw translateAt(error, options.file);
    }
  };
  return {
    begin: async (run: NewRun): Promise<RunRecord | undefined> => (await store()).begin(run),
    end: async (runId: RunId, ending: RunEnding): Promise<void> => (await store()).end(runId, ending),
    get: async (runId: RunId): Promise<RunRecord | undefined> => reading((from) => from.get(runId)),
    answer: async (runId: RunId): Promise<Uint8Array | undefined> => reading((from) => from.answer(runId)),
    running: async (limit: number): Promise<readonly RunRecord[]> => reading((from) => from.running(limit)),
    ended: async (limit: number, before?: RunMark): Promise<readonly RunRecord[]> =>
      reading((from) => from.ended(limit, before)),
    [Symbol.asyncDispose]: async () => {
      isClosed = true;
      await (await opened)?.[Symbol.asyncDispose]();
    },
  };
}

async function open({ file, limits, nowMs, log }: RunStoreOptions): Promise<RunStore> {
  const now = nowMs ?? Date.now;
  await mkdir(dirname(file), { recursive: true, mode: 0o700 });
  makePrivate(file);
  const libsql = await import("libsql");
  const connection = new libsql.default(file);
  try {
    prepare(connection);
    const lost = connection.prepare(STATEMENTS.lose).run(JSON.stringify({ type: "lost" }), now());
    if (lost.changes > 0) log.log("warn", "run.lost", { runs: lost.changes });
    return new DiskRunStore(connection, limits ?? DEFAULT_RUN_LIMITS, now);
  } catch (error) {
    connection.close();
    throw error;
  }
}

function prepare(connection: Database.Database): void {
  connection.pragma("journal_mode = WAL");
  connection.pragma("synchronous = FULL"); // a run must not start before its record is safe
  connection.pragma("foreign_keys = ON");
  const rows = connection.pragma("user_version") as readonly { readonly user_version: number }[] | undefined;
  const version = rows?.[0]?.user_version ?? 0;
  if (version > TABLES_VERSION) {
    throw new ExecutorError("RECORDS_UNAVAILABLE", { reason: "a later version of Hearth wrote them" });
  }
  connection.exec(TABLES);
  connection.pragma(`user_version = ${TABLES_VERSION}`);
}
