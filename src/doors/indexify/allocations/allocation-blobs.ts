import { setMaxListeners } from "node:events";
import type { BlobStore, BlobWrite } from "../../../core/index.ts";
import { ExecutorError } from "../../../core/index.ts";
import type { BLOB } from "../../../gen/function_executor_pb.js";
import { type BlobMessage, writeBlob } from "./blob-shapes.ts";

interface OpenWrite {
  readonly write: BlobWrite;
  state: "open" | "complete";
}

/** The blobs that one allocation writes: begun here, written by its worker, and each completed or aborted in the end. */
export class AllocationBlobs {
  readonly #blobs: BlobStore;
  readonly #writes = new Map<string, OpenWrite>();

  constructor(blobs: BlobStore) {
    this.#blobs = blobs;
  }

  /** @param id what the worker calls it. */
  async begin(id: string, uri: string, bytes: bigint, signal: AbortSignal): Promise<BlobMessage> {
    const write = await this.#blobs.beginWrite(uri, signal);
    this.#writes.set(id, { write, state: "open" });
    return await writeBlob(write, id, bytes, signal);
  }

  /** The blob's own URI, whatever addresses its parts had. */
  uriOf(id: string | undefined): string | undefined {
    return id === undefined ? undefined : this.#writes.get(id)?.write.uri;
  }

  has(id: string | undefined): boolean {
    return id !== undefined && this.#writes.has(id);
  }

  /**
   * What the worker says that it has written becomes one blob. A second time is no change.
   *
   * @throws {@link ExecutorError} ARTIFACT_NOT_FOUND for one that was never asked for; as the store.
   */
  async complete(blob: BLOB, signal: AbortSignal): Promise<void> {
    const open = blob.id === undefined ? undefined : this.#writes.get(blob.id);
    if (open === undefined) {
      throw new ExecutorError("ARTIFACT_NOT_FOUND", { reason: `no blob ${blob.id ?? ""} was asked for` });
    }
    if (open.state === "complete") return;
    const etags = blob.chunks.flatMap(({ etag }) => (etag === undefined ? [] : [etag]));
    await open.write.complete(etags, signal);
    open.state = "complete";
  }

  /** What was not completed leaves nothing behind. Never throws: the first failures are told to `onFailure`. */
  async abortOpen(signal: AbortSignal, onFailure: (error: unknown) => void): Promise<void> {
    const open = [...this.#writes.values()].filter(({ state }) => state === "open");
    setMaxListeners(0, signal); // one for each
    await Promise.all(open.map(({ write }) => write.abort(signal).catch(onFailure)));
  }
}
