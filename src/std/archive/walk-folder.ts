import { constants } from "node:fs";
import type { FileHandle } from "node:fs/promises";
import { open, opendir } from "node:fs/promises";
import { ExecutorError } from "../../core/index.ts";
import type { OutgoingName } from "./outgoing-name.ts";
import { outgoingNames } from "./outgoing-name.ts";

/** What was found; a file's handle is closed once the walk goes on. */
export type FolderItem =
  | { readonly type: "folder"; readonly name: string; readonly modifiedAtMs: number }
  | {
      readonly type: "file";
      readonly name: string;
      readonly modifiedAtMs: number;
      readonly bytes: number;
      readonly file: FileHandle;
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
  signal: AbortSignal,
): AsyncGenerator<FolderItem> {
  const folder = await openPlain(Buffer.from(root), AS_FOLDER | constants.O_NOFOLLOW);
  if (folder === undefined) {
    if (await isThere(root)) yield { type: "skipped", name: "." };
    return;
  }
  const count = { left: limits.entries };
  yield* walk(folder, [], limits, count, signal);
}

async function* walk(
  folder: FileHandle,
  above: readonly string[],
  limits: WalkLimits,
  count: { left: number },
  signal: AbortSignal,
): AsyncGenerator<FolderItem> {
  await using _closed = folder;
  if (above.length > limits.depth)
    throw new ExecutorError("ARCHIVE_TOO_LARGE", { reason: "folders too deep", limit: limits.depth });
  for (const entry of await namesIn(folder, above.length === 0, limits, count)) {
    signal.throwIfAborted();
    yield* step(folder, entry, above, limits, count, signal);
  }
}

async function* step(
  folder: FileHandle,
  { raw, name }: OutgoingName,
  above: readonly string[],
  limits: WalkLimits,
  count: { left: number },
  signal: AbortSignal,
): AsyncGenerator<FolderItem> {
  const path = [...above, name];
  const skipped: FolderItem = { type: "skipped", name: path.join("/") };
  const found = await openFound(folder, raw);
  if (found === undefined) {
    yield skipped;
  } else if (found.isFolder) {
    yield { type: "folder", name: skipped.name, modifiedAtMs: found.modifiedAtMs };
    yield* walk(found.file, path, limits, count, signal);
  } else {
    await using file = found.file;
    yield { type: "file", name: skipped.name, modifiedAtMs: found.modifiedAtMs, bytes: found.bytes, file };
  }
}

interface Found {
  readonly file: FileHandle;
  readonly isFolder: boolean;
  readonly modifiedAtMs: number;
  readonly bytes: number;
}

/** Opens what a name stands for if it is a plain file or a folder; asked and opened are one and the same inode. */
async function openFound(folder: FileHandle, raw: Buffer): Promise<Found | undefined> {
  const path = Buffer.concat([Buffer.from(pathOf(folder)), Buffer.from("/"), raw]);
  await using named = await openPlain(path, AS_NAMED);
  if (named === undefined) return undefined;
  const stats = await named.stat();
  const isFolder = stats.isDirectory();
  if (!isFolder && !stats.isFile()) return undefined;
  const file = await openPlain(pathOf(named), isFolder ? AS_FOLDER : constants.O_RDONLY);
  return file && { file, isFolder, modifiedAtMs: stats.mtimeMs, bytes: stats.size };
}

async function isThere(path: string): Promise<boolean> {
  await using named = await openPlain(Buffer.from(path), AS_NAMED);
  return named !== undefined;
}

const pathOf = (file: FileHandle): string => `/proc/self/fd/${file.fd}`;

async function openPlain(path: Buffer | string, flags: number): Promise<FileHandle | undefined> {
  try {
    return await open(path, flags);
  } catch (error) {
    const code = error instanceof Error && "code" in error ? String(error.code) : "";
    if (NOT_PLAIN.has(code)) return undefined;
    throw error;
  }
}

/** Counted while they are read: a folder of millions is not taken into memory to be found too large. */
async function namesIn(
  folder: FileHandle,
  isTop: boolean,
  limits: WalkLimits,
  count: { left: number },
): Promise<readonly OutgoingName[]> {
  const raws: Buffer[] = [];
  const entries = await opendir(pathOf(folder), {
    // Node gives buffers then, which the declarations do not know.
    encoding: "buffer" as BufferEncoding,
    bufferSize: 1024,
  });
  for await (const { name } of entries) {
    if ((count.left -= 1) < 0)
      throw new ExecutorError("ARCHIVE_TOO_LARGE", { reason: "too many files", limit: limits.entries });
    raws.push(name as unknown as Buffer);
  }
  return outgoingNames(raws, isTop);
}
