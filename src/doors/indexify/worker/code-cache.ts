import { createHash, randomBytes } from "node:crypto";
import { mkdir, readdir, readFile, rename, rm, stat, utimes, writeFile } from "node:fs/promises";
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

  /** @throws {@link ExecutorError} ARTIFACT_*, DISK_FULL; ARCHIVE_INVALID when the bytes are not those that were named. */
  async read(order: ContainerOrder, signal: AbortSignal): Promise<Uint8Array> {
    const path = this.#pathOf(order);
    const beganAtMs = performance.now();
    const cached = await readIfThere(path);
    if (cached !== undefined && isRight(order, cached)) {
      const now = new Date();
      await utimes(path, now, now).catch(() => undefined);
      this.#options.onUse?.("cached", performance.now() - beganAtMs);
      return cached;
    }
    const running = this.#fetching.get(path);
    if (running !== undefined) return await orAbort(running, signal);
    // It serves others as well: one who gives up does not end it.
    const fetch = this.#fetch(order, path).finally(() => this.#fetching.delete(path));
    this.#fetching.set(path, fetch);
    const code = await orAbort(fetch, signal);
    this.#options.onUse?.("downloaded", performance.now() - beganAtMs);
    return code;
  }

  async #fetch(order: ContainerOrder, path: string): Promise<Uint8Array> {
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
    await this.#keep(path, code);
    return code;
  }

  async #keep(path: string, code: Uint8Array): Promise<void> {
    const fresh = join(this.#options.root, "tmp_download", `dl-${randomBytes(8).toString("hex")}`);
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
    const root = join(this.#options.root, ENTRIES);
    const entries = await readdir(root, { recursive: true, withFileTypes: true });
    const files = await Promise.all(
      entries
        .filter((entry) => entry.isFile())
        .map(async (entry) => {
          const path = join(entry.parentPath, entry.name);
          const { size, mtimeMs } = await stat(path);
          return { path, size, mtimeMs };
        }),
    );
    let total = files.reduce((sum, { size }) => sum + size, 0);
    for (const { path, size } of files.sort((a, b) => a.mtimeMs - b.mtimeMs)) {
      if (total <= this.#options.totalBytes) return;
      if (path === kept) continue;
      await rm(path, { force: true });
      total -= size;
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
const FETCH_DEADLINE_MS = 120_000;

/** Names are the server's, and often random: whatever is one name and no path will do. */
function isFolderName(name: string): boolean {
  return /^[^/\\\0]{1,200}$/.test(name) && name !== "." && name !== "..";
}

function isRight({ code }: ContainerOrder, bytes: Uint8Array): boolean {
  return (
    BigInt(bytes.length) === code.size && createHash("sha256").update(bytes).digest("hex") === code.sha256
  );
}

async function readIfThere(path: string): Promise<Uint8Array | undefined> {
  try {
    return await readFile(path);
  } catch {
    return undefined;
  }
}
