import { randomBytes } from "node:crypto";
import { access, constants, open, readlink, realpath, rename, stat, unlink } from "node:fs/promises";
import { basename, dirname, isAbsolute, join, normalize, sep } from "node:path";
import type { BlobStore, BlobWrite } from "../../../core/index.ts";
import { ExecutorError } from "../../../core/index.ts";
import { makeFolder } from "../../../std/files/index.ts";

export const FILE_SCHEME = "file://";

/** How long a folder that was there is believed to be there, and to be ours to write. */
const FOLDER_MS = 1_000;
/** How many are remembered. */
const FOLDERS = 100;

export interface FileBlobOptions {
  /** Folders that blobs may lie in; none given allows every absolute path that this process may use. */
  readonly roots: readonly string[];
}

/**
 * Blobs in files of this host. The path is what follows the scheme, word for word. A blob is written under a name of its own
 * beside its place and takes it when it is complete, so that a reader sees the old one whole or the new one whole.
 */
export function openFileBlobs(options: FileBlobOptions): BlobStore {
  const { roots } = options;
  const pathOf = async (uri: string): Promise<string> => {
    const path = checkedPath(uri, roots);
    if (roots.length > 0) await asOurs(uri, () => refuseOutside(uri, path, roots));
    return path;
  };
  /** What is at the place itself is replaced, not followed. */
  const placeOf = async (uri: string): Promise<string> => {
    const path = checkedPath(uri, roots);
    if (roots.length > 0) await asOurs(uri, () => refuseOutside(uri, dirname(path), roots));
    return path;
  };
  const folders = new Folders();
  return {
    size: async (uri, signal) => {
      signal.throwIfAborted();
      return await sizeOf(uri, await pathOf(uri));
    },
    readUri: async (uri, signal) => {
      signal.throwIfAborted();
      const path = await pathOf(uri);
      await asOurs(uri, () => access(path));
      return uri;
    },
    checkWrite: async (uri, signal) => {
      signal.throwIfAborted();
      const path = await placeOf(uri);
      await asOurs(uri, () => folders.make(dirname(path)));
    },
    beginWrite: async (uri, signal) => {
      signal.throwIfAborted();
      const path = await placeOf(uri);
      await asOurs(uri, () => folders.make(dirname(path)));
      return new FileWrite(uri, path);
    },
    read: async (uri, maxBytes, signal) => readWhole(uri, await pathOf(uri), maxBytes, signal),
    [Symbol.asyncDispose]: () => Promise.resolve(),
  };
}

/** Blobs of one request come one after the other into one folder: it is not made and looked at again for each. */
class Folders {
  readonly #seen = new Map<string, number>();

  async make(folder: string): Promise<void> {
    const nowMs = performance.now();
    if (nowMs - (this.#seen.get(folder) ?? Number.NEGATIVE_INFINITY) < FOLDER_MS) return;
    await makeFolder(folder, 0o777);
    // A blob takes its name here when it is complete, whoever has written it.
    await access(folder, constants.W_OK | constants.X_OK);
    if (this.#seen.size >= FOLDERS) this.#seen.clear();
    this.#seen.set(folder, nowMs);
  }
}

class FileWrite implements BlobWrite {
  readonly uri: string;
  readonly #path: string;
  readonly #partPath: string;
  #isOver = false;

  constructor(uri: string, path: string) {
    this.uri = uri;
    this.#path = path;
    this.#partPath = `${path}.${randomBytes(6).toString("hex")}.part`;
  }

  /** The same for every part: who writes a part knows where in the file it begins. */
  partUri(_part: number, signal: AbortSignal): Promise<string> {
    signal.throwIfAborted();
    return Promise.resolve(`${FILE_SCHEME}${this.#partPath}`);
  }

  async complete(_etags: readonly string[], signal: AbortSignal): Promise<void> {
    if (this.#isOver) return;
    signal.throwIfAborted();
    await asOurs(this.uri, async () => {
      // Nobody may have opened it for a blob of no bytes.
      const handle = await open(this.#partPath, "a");
      try {
        await handle.sync();
      } finally {
        await handle.close();
      }
      await rename(this.#partPath, this.#path);
    });
    this.#isOver = true;
  }

  async abort(): Promise<void> {
    if (this.#isOver) return;
    this.#isOver = true;
    await asOurs(this.uri, () => unlink(this.#partPath).catch(unlessAbsent));
  }
}

/** Links are followed only to where blobs may lie. A folder may be a link itself: then it is what it leads to. */
async function refuseOutside(uri: string, path: string, roots: readonly string[]): Promise<void> {
  const [real, ...realRoots] = await Promise.all([path, ...roots].map(realOf));
  if (real !== undefined && realRoots.some((root) => root !== undefined && isWithin(real, root))) return;
  const reason =
    real === undefined
      ? "a link leads to what is not there, which may come to be outside of the folders that blobs may lie in"
      : "a link leads out of the folders that blobs may lie in";
  throw new ExecutorError("ARTIFACT_KEY_INVALID", { key: uri, reason });
}

/** Of a path that is not there yet, as far as it is there; `undefined` where a link leads to what is not there. */
async function realOf(path: string): Promise<string | undefined> {
  const rest: string[] = [];
  for (let at = path; ; at = dirname(at)) {
    try {
      return join(await realpath(at), ...rest);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "ENOENT" || dirname(at) === at) throw error;
      if (await isLink(at)) return undefined;
      rest.unshift(basename(at));
    }
  }
}

function isLink(path: string): Promise<boolean> {
  return readlink(path).then(
    () => true,
    () => false,
  );
}

function isWithin(path: string, root: string): boolean {
  return path === root || path.startsWith(root.endsWith(sep) ? root : `${root}${sep}`);
}

function checkedPath(uri: string, roots: readonly string[]): string {
  const path = uri.slice(FILE_SCHEME.length);
  const isPlain = isAbsolute(path) && normalize(path) === path && !path.includes("\0") && !path.endsWith(sep);
  const isInside =
    roots.length === 0 || roots.some((root) => path.startsWith(root.endsWith(sep) ? root : `${root}${sep}`));
  if (isPlain && isInside) return path;
  const reason = isPlain
    ? "it is outside the folders that blobs may lie in"
    : "it is not a plain absolute path";
  throw new ExecutorError("ARTIFACT_KEY_INVALID", { key: uri, reason });
}

async function sizeOf(uri: string, path: string): Promise<bigint | undefined> {
  try {
    return (await stat(path, { bigint: true })).size;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw translate(uri, error);
  }
}

async function readWhole(
  uri: string,
  path: string,
  maxBytes: number,
  signal: AbortSignal,
): Promise<Uint8Array> {
  signal.throwIfAborted();
  return await asOurs(uri, async () => {
    const handle = await open(path, "r");
    try {
      const { size } = await handle.stat();
      if (size > maxBytes) throw new ExecutorError("ARTIFACT_TOO_LARGE", { key: uri, limitBytes: maxBytes });
      return await handle.readFile({ signal });
    } finally {
      await handle.close();
    }
  });
}

/** Most are never opened: an error that no function raised. */
function unlessAbsent(error: unknown): void {
  if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
}

async function asOurs<T>(uri: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw translate(uri, error);
  }
}

function translate(uri: string, error: unknown): unknown {
  if (error instanceof ExecutorError) return error;
  const { code } = error as NodeJS.ErrnoException;
  const facts = { key: uri, reason: error instanceof Error ? error.message : String(error) };
  if (code === "ENOENT") return new ExecutorError("ARTIFACT_NOT_FOUND", { key: uri });
  if (code === "ENOSPC" || code === "EDQUOT") return new ExecutorError("DISK_FULL", facts, { cause: error });
  if (code === "EACCES" || code === "EPERM") {
    return new ExecutorError("ARTIFACT_STORE_DENIED", facts, { cause: error });
  }
  if (code === undefined) return error;
  return new ExecutorError("ARTIFACT_STORE_UNAVAILABLE", facts, { cause: error });
}
