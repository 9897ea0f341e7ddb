import { ExecutorError } from "../../core/index.ts";

const FULL = new Set(["ENOSPC", "EDQUOT"]);
/** What the file system says of a name that it will not have. */
const BAD_NAME = new Set(["ENAMETOOLONG", "EILSEQ", "EINVAL", "ENOTDIR", "EEXIST"]);

/** A failure of reading or writing an archive in our words; one of the machine's own is passed on as it is. */
export function archiveFailure(error: unknown, signal: AbortSignal): unknown {
  if (signal.aborted) return signal.reason;
  if (error instanceof ExecutorError) return error;
  const code = error instanceof Error && "code" in error ? String(error.code) : "";
  if (FULL.has(code)) return new ExecutorError("DISK_FULL", {}, { cause: error });
  if (code === "" || code.startsWith("Z_") || BAD_NAME.has(code)) return damaged(error, code);
  return error;
}

/** yauzl's errors carry no code, and zlib's begin with `Z_`. A defect of ours is a TypeError, and stays one. */
function damaged(error: unknown, code: string): unknown {
  if (!(error instanceof Error) || error instanceof TypeError || error instanceof RangeError) return error;
  const reason = code === "" ? error.message.slice(0, 200) : code;
  return new ExecutorError("ARCHIVE_INVALID", { reason }, { cause: error });
}
