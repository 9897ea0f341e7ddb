import { createHash } from "node:crypto";
import type { BigIntStats } from "node:fs";
import { createReadStream, lstatSync, readdirSync, readlinkSync } from "node:fs";
import { join } from "node:path";
import { ExecutorError } from "../../../core/index.ts";
import { ShortTurns } from "./short-turns.ts";

/** What a task folder may hold; above it `resolve` would take too long to be part of a start. */
const MOST_ENTRIES = 20_000;
const MOST_BYTES = 512 * 1_048_576;
/** Folders whose file hashes are remembered. */
const MOST_FOLDERS = 256;
/** What a digest is made of is remembered up to this many characters; beyond, it is added up anew each time. */
const MOST_TEXT = 65_536;

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

interface KnownNames {
  readonly stamp: string;
  readonly names: readonly string[];
}

/** What one walk over a folder learned, for the next one; by path inside of it. */
interface KnownFolder {
  readonly files: ReadonlyMap<string, KnownHash>;
  readonly directories: ReadonlyMap<string, KnownNames>;
  readonly text: string;
  readonly digest: string;
}

const NOTHING_KNOWN: KnownFolder = { files: new Map(), directories: new Map(), text: "", digest: "" };

/** The kernel's stamps are as coarse as its tick: what was just changed may be changed again under the same stamp. */
const STAMP_MS = 100;

/**
 * Digests task folders. A file or directory whose size, times and inode are unchanged is not read again, so a repeated digest
 * costs one `lstat` per entry.
 */
export class FolderDigests {
  readonly #known = new Map<string, KnownFolder>();

  /** @throws {@link ExecutorError} IMAGE_UNUSABLE when the folder is above the limits or cannot be read. */
  async digest(folder: string, signal: AbortSignal): Promise<FolderContent> {
    const known = this.#known.get(folder) ?? NOTHING_KNOWN;
    const walk = new Walk(folder, known, signal);
    try {
      await walk.walk();
    } catch (error) {
      if (signal.aborted || error instanceof ExecutorError) throw error;
      const reason = "the task folder cannot be read";
      throw new ExecutorError("IMAGE_UNUSABLE", { folder, reason }, { cause: error });
    }
    this.#known.delete(folder);
    const { files, directories, digest, unreadable } = walk;
    const text = walk.text.length <= MOST_TEXT ? walk.text : "";
    this.#known.set(folder, { files, directories, text, digest });
    const [oldest] = this.#known.keys();
    if (this.#known.size > MOST_FOLDERS && oldest !== undefined) this.#known.delete(oldest);
    return { digest, unreadable };
  }
}

class Walk {
  /** Of what exists now; what is known of removed files is not carried on. */
  readonly files = new Map<string, KnownHash>();
  readonly directories = new Map<string, KnownNames>();
  text = "";
  digest = "";
  unreadable: string | undefined;
  readonly #root: string;
  readonly #known: KnownFolder;
  readonly #signal: AbortSignal;
  readonly #turns = new ShortTurns();
  readonly #lines: string[] = [];
  #bytes = 0n;

  constructor(root: string, known: KnownFolder, signal: AbortSignal) {
    this.#root = root;
    this.#known = known;
    this.#signal = signal;
  }

  /** Goes through all of it. */
  async walk(): Promise<void> {
    await this.#visit("");
    this.text = this.#lines.sort().join("\n");
    const isAsBefore = this.text === this.#known.text;
    this.digest = isAsBefore
      ? this.#known.digest
      : `sha256:${createHash("sha256").update(this.text).digest("hex")}`;
  }

  async #visit(path: string): Promise<void> {
    await this.#turns.pass();
    this.#signal.throwIfAborted();
    const full = join(this.#root, path);
    const facts = lstatSync(full, { bigint: true });
    this.#count(facts);
    const mode = Number(facts.mode);
    if (facts.isDirectory()) {
      this.#note(path, (mode & 0o005) === 0o005);
      this.#lines.push(line(path, "directory", ""));
      for (const name of this.#namesIn(path, full, facts)) await this.#visit(join(path, name));
    } else if (facts.isFile()) {
      this.#note(path, (mode & 0o004) !== 0);
      const kind = (mode & 0o111) === 0 ? "file" : "program";
      this.#lines.push(line(path, kind, await this.#hash(path, full, facts)));
    } else if (facts.isSymbolicLink()) {
      this.#lines.push(line(path, "link", readlinkSync(full)));
    } else {
      // A socket, pipe or device: its presence is content, what comes out of it is not.
      this.#lines.push(line(path, "special", ""));
    }
  }

  #note(path: string, isReadable: boolean): void {
    if (!isReadable) this.unreadable ??= path === "" ? "." : path;
  }

  #count(facts: BigIntStats): void {
    if (facts.isFile()) this.#bytes += facts.size;
    if (this.#lines.length >= MOST_ENTRIES || this.#bytes > MOST_BYTES) {
      const reason = `the task folder holds more than ${MOST_ENTRIES} entries or ${MOST_BYTES} bytes`;
      throw new ExecutorError("IMAGE_UNUSABLE", { folder: this.#root, reason });
    }
  }

  #namesIn(path: string, full: string, facts: BigIntStats): readonly string[] {
    const stamp = stampOf(facts);
    const known = this.#known.directories.get(path);
    const now = known?.stamp === stamp ? known : { stamp, names: readdirSync(full) };
    if (Date.now() - Number(facts.ctimeMs) > STAMP_MS) this.directories.set(path, now);
    return now.names;
  }

  async #hash(path: string, full: string, facts: BigIntStats): Promise<string> {
    const stamp = stampOf(facts);
    let known = this.#known.files.get(path);
    if (known?.stamp !== stamp) {
      const hash = createHash("sha256");
      for await (const chunk of createReadStream(full, { signal: this.#signal }))
        hash.update(chunk as Buffer);
      known = { stamp, hash: hash.digest("hex") };
    }
    this.files.set(path, known);
    return known.hash;
  }
}

function stampOf({ dev, ino, size, mtimeNs, ctimeNs }: BigIntStats): string {
  return `${dev}:${ino}:${size}:${mtimeNs}:${ctimeNs}`;
}

/** JSON keeps a name with a line end from looking like two entries. */
function line(path: string, kind: string, content: string): string {
  return JSON.stringify([path, kind, content]);
}
