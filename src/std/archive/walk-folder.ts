import { constants } from "node:fs";
import { opendir } from "node:fs/promises";
import { setImmediate } from "node:timers/promises";
import { ExecutorError } from "../../core/index.ts";
import type { Looks } from "../files/index.ts";
import type { OutgoingName } from "./outgoing-name.ts";
import { outgoingNames } from "./outgoing-name.ts";

/** What was found; a file is closed once the walk goes on. */
export type FolderItem =
  | { readonly type: "folder"; readonly name: string; readonly modifiedAtMs: number }
  | {
      readonly type: "file";
      readonly name: string;
      readonly modifiedAtMs: number;
      readonly bytes: number;
      readonly fd: number;
    }
  | { readonly type: "skipped"; readonly name: string };

export interface WalkLimits {
  readonly entries: number;
  readonly depth: number;
}

/**
 * Names a file without opening it, whatever it is: no pipe blocks, no device starts anything. Linux's number for it, which Node
 * does not name (include/uapi/asm-generic/fcntl.h).
 */
const O_PATH = 0o10000000;
const AS_NAMED = O_PATH | constants.O_NOFOLLOW;
const AS_FOLDER = constants.O_RDONLY | constants.O_DIRECTORY;
/** So many names are met before others have a turn: looks that are done at once leave them none. */
const IN_A_ROW = 32;
/** What opening says of something else than a folder, of what is no longer there, and of what may not be read. */
const NOT_PLAIN = new Set(["ELOOP", "ENOTDIR", "ENOENT", "EACCES", "EPERM"]);

/**
 * Everything below a folder, each folder before its contents, names in the order of their bytes. No link is followed: each
 * step is taken from the folder that is open, by `/proc/self/fd`, so that one swapped for a link meanwhile leads nowhere, and
 * what a name stands for is asked of the opened file and not of the name.
 *
 * A root that is no folder is empty, and skipped under the name `.` when something else is in its place.
 *
 * @throws {@link ExecutorError} ARCHIVE_TOO_LARGE.
 */
export async function* walkFolder(
  root: string,
  limits: WalkLimits,
  looks: Looks,
  signal: AbortSignal,
): AsyncGenerator<FolderItem> {
  // Most jobs leave none, and to find that out by opening it would make an error each time.
  if (!(await isThere(root, looks))) return;
  const fd = await openPlain(root, AS_FOLDER | constants.O_NOFOLLOW, looks);
  if (fd === undefined) {
    if (await isThere(root, looks)) yield { type: "skipped", name: "." };
    return;
  }
  yield* walkOpen(fd, [], { limits, looks, signal, left: limits.entries, seen: 0 });
}

/** One walk, and what it has seen. */
interface Walk {
  readonly limits: WalkLimits;
  readonly looks: Looks;
  readonly signal: AbortSignal;
  /** How many names more it may meet. */
  left: number;
  seen: number;
}

async function* walkOpen(folder: number, above: readonly string[], walk: Walk): AsyncGenerator<FolderItem> {
  try {
    if (above.length > walk.limits.depth)
      throw new ExecutorError("ARCHIVE_TOO_LARGE", { reason: "folders too deep", limit: walk.limits.depth });
    for (const entry of await namesIn(folder, above.length === 0, walk)) {
      walk.seen += 1;
      if (walk.seen % IN_A_ROW === 0) await setImmediate();
      walk.signal.throwIfAborted();
      yield* step(folder, entry, above, walk);
    }
  } finally {
    await walk.looks.close(folder);
  }
}

async function* step(
  folder: number,
  { raw, name }: OutgoingName,
  above: readonly string[],
  walk: Walk,
): AsyncGenerator<FolderItem> {
  const path = [...above, name];
  const skipped: FolderItem = { type: "skipped", name: path.join("/") };
  const found = await openFound(folder, raw, walk.looks);
  if (found === undefined) {
    yield skipped;
  } else if (found.isFolder) {
    yield { type: "folder", name: skipped.name, modifiedAtMs: found.modifiedAtMs };
    yield* walkOpen(found.fd, path, walk);
  } else {
    const { fd, modifiedAtMs, bytes } = found;
    try {
      yield { type: "file", name: skipped.name, modifiedAtMs, bytes, fd };
    } finally {
      await walk.looks.close(fd);
    }
  }
}

interface Found {
  readonly fd: number;
  readonly isFolder: boolean;
  readonly modifiedAtMs: number;
  readonly bytes: number;
}

/** Opens what a name stands for if it is a plain file or a folder; asked and opened are one and the same inode. */
async function openFound(folder: number, raw: Buffer, looks: Looks): Promise<Found | undefined> {
  const path = Buffer.concat([Buffer.from(`${pathOf(folder)}/`), raw]);
  const named = await openPlain(path, AS_NAMED, looks);
  if (named === undefined) return undefined;
  try {
    const stats = await looks.stats(named);
    const isFolder = stats.isDirectory();
    if (!isFolder && !stats.isFile()) return undefined;
    const fd = await openPlain(pathOf(named), isFolder ? AS_FOLDER : constants.O_RDONLY, looks);
    return fd === undefined ? undefined : { fd, isFolder, modifiedAtMs: stats.mtimeMs, bytes: stats.size };
  } finally {
    await looks.close(named);
  }
}

async function isThere(path: string, looks: Looks): Promise<boolean> {
  try {
    return (await looks.statsOf(path)) !== undefined;
  } catch (error) {
    if (isNotPlain(error)) return false;
    throw error;
  }
}

const pathOf = (fd: number): string => `/proc/self/fd/${fd}`;

async function openPlain(path: Buffer | string, flags: number, looks: Looks): Promise<number | undefined> {
  try {
    return await looks.open(path, flags);
  } catch (error) {
    if (isNotPlain(error)) return undefined;
    throw error;
  }
}

function isNotPlain(error: unknown): boolean {
  return error instanceof Error && "code" in error && NOT_PLAIN.has(String(error.code));
}

/** Counted while they are read: a folder of millions is not taken into memory to be found too large. */
async function namesIn(folder: number, isTop: boolean, walk: Walk): Promise<readonly OutgoingName[]> {
  const raws: Buffer[] = [];
  const entries = await opendir(pathOf(folder), {
    // Node gives buffers then, which the declarations do not know.
    encoding: "buffer" as BufferEncoding,
    bufferSize: 1024,
  });
  for await (const { name } of entries) {
    if ((walk.left -= 1) < 0)
      throw new ExecutorError("ARCHIVE_TOO_LARGE", { reason: "too many files", limit: walk.limits.entries });
    raws.push(name as unknown as Buffer);
  }
  return outgoingNames(raws, isTop);
}
