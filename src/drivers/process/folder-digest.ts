import { createHash } from "node:crypto";
import type { BigIntStats } from "node:fs";
import { createReadStream } from "node:fs";
import { lstat, readdir, readlink } from "node:fs/promises";
import { join } from "node:path";
import { ExecutorError } from "../../core/index.ts";

/** What a task folder may hold; above it `resolve` would take too long to be part of a start. */
const MOST_ENTRIES = 20_000;
const MOST_BYTES = 512 * 1_048_576;
/** Folders whose file hashes are remembered. */
const MOST_FOLDERS = 256;

export interface FolderContent {
  /** `sha256:…` over the names, kinds, executable bits and bytes of everything in the folder. */
  readonly digest: string;
  /** The first entry that other users may not read, if any; a task that runs under a uid of its own could not either. */
  readonly unreadable: string | undefined;
}

interface KnownHash {
  readonly stamp: string;
  readonly hash: string;
}

/**
 * Digests task folders. A file whose size, times and inode are unchanged is not read again, so a repeated digest costs one
 * `lstat` per entry.
 */
export class FolderDigests {
  readonly #known = new Map<string, Map<string, KnownHash>>();

  /** @throws {@link ExecutorError} IMAGE_UNUSABLE when the folder is above the limits or cannot be read. */
  async digest(folder: string, signal: AbortSignal): Promise<FolderContent> {
    const known = this.#known.get(folder) ?? new Map<string, KnownHash>();
    const walk = new Walk(folder, known, signal);
    try {
      await walk.visit("");
    } catch (error) {
      if (signal.aborted || error instanceof ExecutorError) throw error;
      const reason = "the task folder cannot be read";
      throw new ExecutorError("IMAGE_UNUSABLE", { folder, reason }, { cause: error });
    }
    this.#known.delete(folder);
    this.#known.set(folder, walk.seen);
    for (const oldest of this.#known.keys()) if (this.#known.size > MOST_FOLDERS) this.#known.delete(oldest);
    return walk.finish();
  }
}

class Walk {
  /** Hashes of the files that exist now; those of removed ones are not carried on. */
  readonly seen = new Map<string, KnownHash>();
  readonly #root: string;
  readonly #known: ReadonlyMap<string, KnownHash>;
  readonly #signal: AbortSignal;
  readonly #lines: string[] = [];
  #bytes = 0n;
  #unreadable: string | undefined;

  constructor(root: string, known: ReadonlyMap<string, KnownHash>, signal: AbortSignal) {
    this.#root = root;
    this.#known = known;
    this.#signal = signal;
  }

  finish(): FolderContent {
    const digest = createHash("sha256").update(this.#lines.sort().join("\n")).digest("hex");
    return { digest: `sha256:${digest}`, unreadable: this.#unreadable };
  }

  async visit(path: string): Promise<void> {
    this.#signal.throwIfAborted();
    const full = join(this.#root, path);
    const facts = await lstat(full, { bigint: true });
    this.#count(facts);
    const mode = Number(facts.mode);
    if (facts.isDirectory()) {
      this.#note(path, (mode & 0o005) === 0o005);
      this.#lines.push(line(path, "directory", ""));
      for (const name of await readdir(full)) await this.visit(join(path, name));
    } else if (facts.isFile()) {
      this.#note(path, (mode & 0o004) !== 0);
      const kind = (mode & 0o111) === 0 ? "file" : "program";
      this.#lines.push(line(path, kind, await this.#hash(path, full, facts)));
    } else if (facts.isSymbolicLink()) {
      this.#lines.push(line(path, "link", await readlink(full)));
    } else {
      // A socket, pipe or device: its presence is content, what comes out of it is not.
      this.#lines.push(line(path, "special", ""));
    }
  }

  #note(path: string, isReadable: boolean): void {
    if (!isReadable) this.#unreadable ??= path === "" ? "." : path;
  }

  #count(facts: BigIntStats): void {
    if (facts.isFile()) this.#bytes += facts.size;
    if (this.#lines.length >= MOST_ENTRIES || this.#bytes > MOST_BYTES) {
      const reason = `the task folder holds more than ${MOST_ENTRIES} entries or ${MOST_BYTES} bytes`;
      throw new ExecutorError("IMAGE_UNUSABLE", { folder: this.#root, reason });
    }
  }

  async #hash(path: string, full: string, facts: BigIntStats): Promise<string> {
    const stamp = `${facts.ino}:${facts.size}:${facts.mtimeNs}:${facts.ctimeNs}`;
    let known = this.#known.get(path);
    if (known?.stamp !== stamp) {
      const hash = createHash("sha256");
      for await (const chunk of createReadStream(full, { signal: this.#signal }))
        hash.update(chunk as Buffer);
      known = { stamp, hash: hash.digest("hex") };
    }
    this.seen.set(path, known);
    return known.hash;
  }
}

/** JSON keeps a name with a line end from looking like two entries. */
function line(path: string, kind: string, content: string): string {
  return JSON.stringify([path, kind, content]);
}
