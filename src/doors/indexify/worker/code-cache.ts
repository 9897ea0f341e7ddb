import { createHash, randomBytes } from "node:crypto";
import {
  lstat,
  mkdir,
  readdir,
  readFile,
  rename,
  rm,
  rmdir,
  stat,
  utimes,
  writeFile,
} from "node:fs/promises";
import { dirname, join } from "node:path";
import type { BlobStore } from "../../../core/index.ts";
import { ExecutorError } from "../../../core/index.ts";
import { orAbort } from "../../../std/index.ts";
import type { ContainerOrder } from "../commands/orders.ts";

export interface CodeCacheOptions {
  readonly root: string;
  readonly blobs: BlobStore;
  /** The largest application that is taken. */
  readonly maxBytes: number;
  /** Of all entries; past it those unused for longest go. */
  readonly totalBytes: number;
  onUse?(how: "downloaded" | "cached", tookMs: number): void;
  /** It was fetched and can be used, and the next who asks will fetch it again. */
  onNotKept?(error: unknown): void;
}

/**
 * The code of applications, each version fetched once and kept in a file. What is in the cache is checked like what was just
 * fetched: a file that somebody changed is fetched anew. Callers at once share one download.
 */
export class CodeCache {
  readonly #options: CodeCacheOptions;
  readonly #fetching = new Map<string, Promise<Uint8Array>>();

  constructor(options: CodeCacheOptions) {
    this.#options = options;
  }

  /** @throws {@link ExecutorError} ARTIFACT_*; ARCHIVE_INVALID when the bytes are not those that were named. */
  async read(order: ContainerOrder, signal: AbortSignal): Promise<Uint8Array> {
    const path = this.#pathOf(order);
    const beganAtMs = performance.now();
    const cached = await readIfRight(order, path);
    if (cached !== undefined) {
      const now = new Date();
      await utimes(path, now, now).catch(() => undefined);
      this.#options.onUse?.("cached", performance.now() - beganAtMs);
      return cached;
    }
    // Not the path alone: who is told another place, part or digest for the same version must not share the failure of a wrong one.
    const { uri, offset, size, sha256 } = order.code;
    const what = [path, uri, offset, size, sha256].join("\0");
    const running = this.#fetching.get(what);
    if (running !== undefined) return await orAbort(running, signal);
    // It serves others as well: one who gives up does not end it.
    const fetch = this.#fetch(order, path).finally(() => this.#fetching.delete(what));
    this.#fetching.set(what, fetch);
    const code = await orAbort(fetch, signal);
    this.#options.onUse?.("downloaded", performance.now() - beganAtMs);
    return code;
  }

  async #fetch(order: ContainerOrder, path: string): Promise<Uint8Array> {
    // Who looked before another's fetch was kept, and comes when that is over, finds it now.
    const kept = await readIfRight(order, path);
    if (kept !== undefined) return kept;
    const { blobs, maxBytes } = this.#options;
    const { uri, offset, size } = order.code;
    const whole = await blobs.read(uri, maxBytes, AbortSignal.timeout(FETCH_DEADLINE_MS));
    const code = whole.subarray(Number(offset), Number(offset + size));
    if (!isRight(order, code)) {
      throw new ExecutorError("ARCHIVE_INVALID", {
        key: uri,
        reason: "its SHA-256 is not the one that was named",
      });
    }
    await this.#keep(path, code).catch((error: unknown) => this.#options.onNotKept?.(error));
    return code;
  }

  async #keep(path: string, code: Uint8Array): Promise<void> {
    const fresh = join(this.#options.root, FRESH, `dl-${randomBytes(8).toString("hex")}`);
    await mkdir(dirname(fresh), { recursive: true });
    await mkdir(dirname(path), { recursive: true });
    try {
      await writeFile(fresh, code);
      await rename(fresh, path);
    } catch (error) {
      await rm(fresh, { force: true });
      throw error;
    }
    await this.#makeRoom(path);
  }

  /** The least lately used go first; what was just kept stays. */
  async #makeRoom(kept: string): Promise<void> {
    const { root, totalBytes } = this.#options;
    const abandonedMs = Date.now() - ABANDONED_AFTER_MS;
    for (const { path, modifiedAtMs } of await filesBelow(join(root, FRESH)))
      if (modifiedAtMs < abandonedMs) await rm(path, { force: true });
    const entries = await filesBelow(join(root, ENTRIES));
    let total = entries.reduce((sum, { bytes }) => sum + bytes, 0);
    for (const { path, bytes } of entries.toSorted((a, b) => a.modifiedAtMs - b.modifiedAtMs)) {
      if (total <= totalBytes) return;
      if (path === kept) continue;
      await rm(path, { force: true });
      await removeEmpty(dirname(path), join(root, ENTRIES));
      total -= bytes;
    }
  }

  #pathOf({ function: { namespace, application, version } }: ContainerOrder): string {
    const parts = [namespace, application, version ?? "none"];
    const bad = parts.find((part) => !isFolderName(part));
    if (bad === undefined) return join(this.#options.root, ENTRIES, ...parts);
    throw new ExecutorError("ARTIFACT_KEY_INVALID", { key: bad, reason: "it cannot name a folder" });
  }
}

const ENTRIES = "application_cache";
/** Where what was just fetched lies before it has its place. */
const FRESH = "tmp_download";
const FETCH_DEADLINE_MS = 120_000;
/** What is fresh for longer than any fetch takes was left by an executor that was killed. */
const ABANDONED_AFTER_MS = 3_600_000;

/** Names are the server's, and often random: whatever is one name and no path will do. */
function isFolderName(name: string): boolean {
  return /^[^/\\\0]{1,200}$/.test(name) && name !== "." && name !== "..";
}

function isRight({ code }: ContainerOrder, bytes: Uint8Array): boolean {
  return (
    BigInt(bytes.length) === code.size && createHash("sha256").update(bytes).digest("hex") === code.sha256
  );
}

async function readIfRight(order: ContainerOrder, path: string): Promise<Uint8Array | undefined> {
  try {
    // Whatever took its place may be of any size.
    if (BigInt((await stat(path)).size) !== order.code.size) return undefined;
    const bytes = await readFile(path);
    return isRight(order, bytes) ? bytes : undefined;
  } catch {
    return undefined;
  }
}

interface CacheFile {
  readonly path: string;
  readonly bytes: number;
  readonly modifiedAtMs: number;
}

/** Other executors may share the folder: what goes while this looks is left out. */
async function filesBelow(folder: string): Promise<readonly CacheFile[]> {
  const names = await readdir(folder, { recursive: true });
  const found = await Promise.all(
    names.map(async (name): Promise<readonly CacheFile[]> => {
      const path = join(folder, name);
      const about = await lstat(path).catch(() => undefined);
      return about?.isFile() === true ? [{ path, bytes: about.size, modifiedAtMs: about.mtimeMs }] : [];
    }),
  );
  return found.flat();
}

/** Removes a folder and those above it up to `root`, as far as nothing is in them. */
async function removeEmpty(folder: string, root: string): Promise<void> {
  for (let at = folder; at.startsWith(join(root, "/")); at = dirname(at)) {
    try {
      await rmdir(at);
    } catch {
      return;
    }
  }
}
