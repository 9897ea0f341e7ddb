import { chmod, mkdir } from "node:fs/promises";
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
import { STATEMENTS, TABLES, TABLES_VERSION } from "./run-tables.ts";
import { translate } from "./translate-failure.ts";

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
  const store = (): Promise<RunStore> => {
    if (isClosed) return Promise.reject(new ExecutorError("RECORDS_UNAVAILABLE", { reason: "closed" }));
    opened ??= open(options).catch((error: unknown) => {
      opened = undefined; // the next use tries again: the disk may have room by then
      throw error;
    });
    return opened;
  };
  return {
    begin: async (run: NewRun): Promise<RunRecord | undefined> => (await store()).begin(run),
    end: async (runId: RunId, ending: RunEnding): Promise<void> => (await store()).end(runId, ending),
    get: async (runId: RunId): Promise<RunRecord | undefined> => (await store()).get(runId),
    answer: async (runId: RunId): Promise<Uint8Array | undefined> => (await store()).answer(runId),
    running: async (limit: number): Promise<readonly RunRecord[]> => (await store()).running(limit),
    ended: async (limit: number, before?: RunMark): Promise<readonly RunRecord[]> =>
      (await store()).ended(limit, before),
    [Symbol.asyncDispose]: async () => {
      isClosed = true;
      await (await opened)?.[Symbol.asyncDispose]();
    },
  };
}

async function open({ file, limits, nowMs, log }: RunStoreOptions): Promise<RunStore> {
  const now = nowMs ?? Date.now;
  try {
    await mkdir(dirname(file), { recursive: true, mode: 0o700 });
    const libsql = await import("libsql");
    const connection = new libsql.default(file);
    try {
      prepare(connection);
      const lost = connection.prepare(STATEMENTS.lose).run(JSON.stringify({ type: "lost" }), now());
      if (lost.changes > 0) log.log("warn", "run.lost", { runs: lost.changes });
      // Answers are somebody's data.
      await chmod(file, 0o600);
      return new DiskRunStore(connection, limits ?? DEFAULT_RUN_LIMITS, now);
    } catch (error) {
      connection.close();
      throw error;
    }
  } catch (error) {
    log.log("error", "state.failed", { file, error });
    throw translate(error);
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
