import { mkdir } from "node:fs/promises";
import { dirname } from "node:path";
import libsql from "libsql";
import type { Log, TaskBook } from "../../core/index.ts";
import { ExecutorError } from "../../core/index.ts";
import { DiskTaskBook } from "./disk-task-book.ts";
import { makePrivate } from "./make-private.ts";
import { TASK_TABLES, TASK_TABLES_VERSION } from "./task-tables.ts";
import { translateAt } from "./translate-failure.ts";

/** How much a book keeps at most, of each kind. */
export interface BookLimits {
  readonly tasks: number;
  readonly executers: number;
  readonly pools: number;
}

export const DEFAULT_BOOK_LIMITS: BookLimits = { tasks: 100_000, executers: 10_000, pools: 10_000 };

export interface TaskBookOptions {
  /** The database file; its folder is made. */
  readonly file: string;
  readonly limits?: BookLimits;
  readonly log: Log;
}

/** Opens the book of the web API's tasks in one SQLite file. @throws {@link ExecutorError} RECORDS_UNAVAILABLE, DISK_FULL. */
export async function openTaskBook({ file, limits, log }: TaskBookOptions): Promise<TaskBook> {
  try {
    await mkdir(dirname(file), { recursive: true, mode: 0o700 });
    makePrivate(file);
    const connection = new libsql(file);
    try {
      connection.pragma("journal_mode = WAL");
      connection.pragma("synchronous = FULL"); // a client is told of its task only once the task is safe
      const rows = connection.pragma("user_version") as
        | readonly { readonly user_version: number }[]
        | undefined;
      if ((rows?.[0]?.user_version ?? 0) > TASK_TABLES_VERSION) {
        throw new ExecutorError("RECORDS_UNAVAILABLE", { reason: "a later version of Hearth wrote them" });
      }
      connection.exec(TASK_TABLES);
      connection.pragma(`user_version = ${TASK_TABLES_VERSION}`);
      return new DiskTaskBook(connection, limits ?? DEFAULT_BOOK_LIMITS);
    } catch (error) {
      connection.close();
      throw error;
    }
  } catch (error) {
    log.log("error", "state.failed", { file, error });
    throw translateAt(error, file);
  }
}
