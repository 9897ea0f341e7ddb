import { ExecutorError } from "../../core/index.ts";

/** What a name may be at most: segments, and bytes of each. */
export interface NameLimits {
  readonly depth: number;
  readonly nameBytes: number;
}

/** An entry's name once it is known to stay inside: segments that are neither empty nor `.` nor `..`. */
export interface EntryName {
  /** Joined by `/`, without one at the end; empty for the archive's own root. */
  readonly path: string;
  readonly segments: readonly string[];
  readonly isFolder: boolean;
}

/**
 * Judges a name from an archive. What reaches outside is refused rather than bent into shape, since a name that was bent is
 * none that its sender meant. `./` in front, which some packers write, says nothing and is left out.
 *
 * @throws {@link ExecutorError} ARCHIVE_INVALID, ARCHIVE_TOO_LARGE.
 */
export function parseEntryName(name: string, limits: NameLimits): EntryName {
  const fault = faultOf(name);
  if (fault !== undefined) throw new ExecutorError("ARCHIVE_INVALID", { reason: fault, entry: shown(name) });
  const isFolder = name.endsWith("/");
  const written = (isFolder ? name.slice(0, -1) : name).split("/");
  const segments = written.filter((segment) => segment !== ".");
  if (segments.includes("..")) throw outside("a name with .. in it", name);
  if (segments.includes("")) throw outside("a name with an empty part", name);
  if (segments.length === 0 && !isFolder) throw outside("a file without a name", name);
  if (segments.length > limits.depth) throw tooLarge("folders too deep", limits.depth, name);
  if (segments.some((segment) => Buffer.byteLength(segment) > limits.nameBytes))
    throw tooLarge("a name too long", limits.nameBytes, name);
  return { path: segments.join("/"), segments, isFolder };
}

function faultOf(name: string): string | undefined {
  if (name === "") return "an entry without a name";
  if (name.startsWith("/")) return "an absolute name";
  if (name.includes("\\")) return "a backslash in a name";
  if (/^[A-Za-z]:/.test(name)) return "a drive in a name";
  if (/[\u0000-\u001f\u007f]/.test(name)) return "a control character in a name";
  return name.includes("\ufffd") ? "a name that is not UTF-8" : undefined;
}

const outside = (reason: string, name: string): ExecutorError =>
  new ExecutorError("ARCHIVE_INVALID", { reason, entry: shown(name) });

const tooLarge = (reason: string, limit: number, name: string): ExecutorError =>
  new ExecutorError("ARCHIVE_TOO_LARGE", { reason, limit, entry: shown(name) });

const SHOWN_CHARACTERS = 200;

/** A stranger's name as an error may carry it. */
export function shown(name: string): string {
  const cut = name.length > SHOWN_CHARACTERS ? `${name.slice(0, SHOWN_CHARACTERS)}…` : name;
  return JSON.stringify(cut).slice(1, -1);
}
