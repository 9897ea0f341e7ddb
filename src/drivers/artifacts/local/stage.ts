import { createHash } from "node:crypto";
import { rename, rm } from "node:fs/promises";
import type { ArtifactKey, ArtifactStore, StagedArtifact } from "../../../core/index.ts";
import { openNew, openNewSafe, syncFile, writeAll } from "../../../std/files/index.ts";
import { segmentsOf } from "../check-key.ts";
import { localFailure } from "./failure.ts";
import type { OpenFolder } from "./folders.ts";
import { inside, openFolder } from "./folders.ts";
import { halfIn } from "./publish.ts";

/**
 * See `ArtifactStore.stage`. It is filled under a name that no key can have, beside its place; what a killed process leaves of it
 * is swept by age.
 */
export function stagingIn(root: OpenFolder): Required<Pick<ArtifactStore, "stage">> {
  return {
    async stage(key, signal) {
      signal.throwIfAborted();
      const segments = segmentsOf(key);
      let folder: OpenFolder | undefined;
      try {
        folder = await openFolder(root, segments.slice(0, -1), true);
        return new StagedFile(key, folder);
      } catch (error) {
        // What kept us from it is the better error.
        await folder?.close().catch(() => undefined);
        throw localFailure(error, key);
      }
    },
  };
}

const MODE = 0o644;
/** A first piece that is no larger is kept until it is known whether another follows. */
const ONLY_BYTES = 256 * 1024;

class StagedFile implements StagedArtifact {
  readonly #key: ArtifactKey;
  readonly #folder: OpenFolder;
  readonly #half: string;
  #fd: number | undefined;
  /** All that has come so far, while that is one small piece and its file is not made yet. */
  #only: Uint8Array | undefined;
  readonly #hash = createHash("sha256");
  #bytes = 0;
  #isThere = false;

  constructor(key: ArtifactKey, folder: OpenFolder) {
    this.#key = key;
    this.#folder = folder;
    this.#half = halfIn(folder);
  }

  async write(bytes: Uint8Array): Promise<void> {
    if (this.#bytes === 0 && bytes.length <= ONLY_BYTES) this.#only = Buffer.from(bytes);
    else await this.#tried(async () => await this.#writeOn(bytes));
    this.#hash.update(bytes);
    this.#bytes += bytes.length;
  }

  async seal(): Promise<{ readonly bytes: number; readonly sha256: string }> {
    await this.#tried(async () => {
      if (this.#only === undefined) await syncFile(await this.#opened(openNew));
      else await writeAll(await this.#opened(openNewSafe), this.#only);
      await this.#close();
    });
    return { bytes: this.#bytes, sha256: this.#hash.digest("hex") };
  }

  async publish(): Promise<void> {
    await this.#tried(async () => {
      if (!this.#isThere) await rename(this.#half, inside(this.#folder, segmentsOf(this.#key).at(-1) ?? ""));
      this.#isThere = true;
      await this.#folder.sync();
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    try {
      await this.#close();
      if (!this.#isThere) await rm(this.#half, { force: true });
    } finally {
      await this.#folder.close();
    }
  }

  /** Another piece, or a large one: brought to disk once, at the end. */
  async #writeOn(bytes: Uint8Array): Promise<void> {
    const fd = await this.#opened(openNew);
    const before = this.#only;
    this.#only = undefined;
    if (before !== undefined) await writeAll(fd, before);
    await writeAll(fd, bytes);
  }

  async #opened(make: typeof openNew): Promise<number> {
    this.#fd ??= await make(this.#half, MODE);
    return this.#fd;
  }

  async #close(): Promise<void> {
    const fd = this.#fd;
    this.#fd = undefined;
    if (fd !== undefined) await this.#folder.looks.close(fd);
  }

  async #tried(work: () => Promise<void>): Promise<void> {
    try {
      await work();
    } catch (error) {
      throw localFailure(error, this.#key);
    }
  }
}
