import { ExecutorError } from "../../../core/index.ts";

const FULL = new Set(["ENOSPC", "EDQUOT"]);
const DENIED = new Set(["EACCES", "EPERM", "EROFS"]);
/** Something else than the key says stands at one of its segments. */
const IN_THE_WAY = new Set([
  "ELOOP",
  "ENOTDIR",
  "EISDIR",
  "ENOTEMPTY",
  "EEXIST",
  "ENXIO",
  "ENODEV",
  "ENAMETOOLONG",
]);

export const codeOf = (error: unknown): string =>
  error instanceof Error && "code" in error ? String(error.code) : "";

/** What a file system says of a key, in our words. What is none of its sayings is passed on as it is. */
export function localFailure(error: unknown, key: string): unknown {
  const code = codeOf(error);
  if (error instanceof ExecutorError || !/^E[A-Z0-9]+$/.test(code)) return error;
  const fail = (ours: ExecutorError["code"], reason?: string): ExecutorError =>
    new ExecutorError(ours, { key, reason }, { cause: error });
  if (FULL.has(code)) return fail("DISK_FULL");
  if (code === "ENOENT") return fail("ARTIFACT_NOT_FOUND");
  if (DENIED.has(code)) return fail("ARTIFACT_STORE_DENIED", code);
  if (IN_THE_WAY.has(code))
    return fail("ARTIFACT_KEY_INVALID", "a link, folder or other file stands in its way");
  return fail("ARTIFACT_STORE_UNAVAILABLE", code);
}
