import { statfsSync } from "node:fs";
import { dirname } from "node:path";
import { ExecutorError } from "../../core/index.ts";

/** A database cannot be opened with less: SQLite's index of its log alone is 32 KiB. */
const LEAST_ROOM_BYTES = 65_536;

/** A failure of the database in our words. */
export function translate(error: unknown): ExecutorError {
  if (error instanceof ExecutorError) return error;
  const code = codeOf(error);
  if (code === "SQLITE_FULL" || code === "ENOSPC" || code === "EDQUOT")
    return new ExecutorError("DISK_FULL", {}, { cause: error });
  const reason = code === "" ? {} : { reason: code };
  return new ExecutorError("RECORDS_UNAVAILABLE", reason, { cause: error });
}

/**
 * The same of a failure to open a file: on a full disk SQLite cannot make its index and says almost anything (`SQLITE_CANTOPEN`,
 * `SQLITE_IOERR_…`, `SQLITE_ERROR`), so the disk itself is asked.
 */
export function translateAt(error: unknown, file: string): ExecutorError {
  const translated = translate(error);
  const isOpen = translated.code === "RECORDS_UNAVAILABLE" && codeOf(error).startsWith("SQLITE");
  if (!isOpen || !hasNoRoom(dirname(file))) return translated;
  return new ExecutorError("DISK_FULL", {}, { cause: error });
}

function hasNoRoom(folder: string): boolean {
  try {
    const { bavail, bsize, files, ffree } = statfsSync(folder);
    return bavail * bsize < LEAST_ROOM_BYTES || (files > 0 && ffree === 0);
  } catch {
    return false;
  }
}

/** What the system or SQLite calls a failure; empty for another. */
export function codeOf(error: unknown): string {
  return error instanceof Error && "code" in error ? String(error.code) : "";
}
