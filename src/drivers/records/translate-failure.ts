import { ExecutorError } from "../../core/index.ts";

/** A failure of the database in our words. */
export function translate(error: unknown): ExecutorError {
  if (error instanceof ExecutorError) return error;
  const code = error instanceof Error && "code" in error ? String(error.code) : "";
  if (code === "SQLITE_FULL" || code === "ENOSPC")
    return new ExecutorError("DISK_FULL", {}, { cause: error });
  const reason = code === "" ? {} : { reason: code };
  return new ExecutorError("RECORDS_UNAVAILABLE", reason, { cause: error });
}
