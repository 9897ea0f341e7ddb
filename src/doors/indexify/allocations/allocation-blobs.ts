import { setMaxListeners } from "node:events";
import type { BlobStore, BlobWrite } from "../../../core/index.ts";
import { ExecutorError } from "../../../core/index.ts";
import type { BLOB } from "../../../gen/function_executor_pb.js";
import { type BlobMessage, writeBlob } from "./blob-shapes.ts";

interface OpenWrite {
  readonly write: BlobWrite;
  readonly bytes: bigint;
  state: "open" | "complete";
}

/**
 * The blobs that one allocation writes: begun here, written by its worker, and each completed or aborted in the end. Counts
 * what they came to, and what the allocation was given to read.
 */
export class AllocationBlobs {
  readonly #blobs: BlobStore;
  readonly #writes = new Map<string, OpenWrite>();
  #bytesIn = 0;
  #bytesOut = 0;

  constructor(blobs: BlobStore) {
    this.#blobs = blobs;
  }

  /** Of what it was given: its arguments, results of its calls, state of its request. */
  get bytesIn(): number {
    return this.#bytesIn;
  }

  /** Of the blobs that were completed, as its worker says. */
  get bytesOut(): number {
    return this.#bytesOut;
  }

  /** It was given so much to read. */
  given(bytes: bigint): void {
    this.#bytesIn += Number(bytes);
  }

  /** @param id what the worker calls it. */
  async begin(id: string, uri: string, bytes: bigint, signal: AbortSignal): Promise<BlobMessage> {
    const write = await this.#blobs.beginWrite(uri, signal);
    this.#writes.set(id, { write, bytes, state: "open" });
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
   * @param claimedBytes what is said to be in it, from its beginning; without one: something, if it was begun for something.
   * @throws {@link ExecutorError} ARTIFACT_NOT_FOUND for one that was never asked for, or whose parts do not hold what is said to be in
   * it; as the store.
   */
  async complete(blob: BLOB, signal: AbortSignal, claimedBytes?: bigint): Promise<void> {
    const open = blob.id === undefined ? undefined : this.#writes.get(blob.id);
    if (open === undefined) {
      throw new ExecutorError("ARTIFACT_NOT_FOUND", { reason: `no blob ${blob.id ?? ""} was asked for` });
    }
    if (open.state === "complete") return;
    const etags = etagsOf(blob, claimedBytes ?? (open.bytes > 0n ? 1n : 0n));
    await open.write.complete(etags, signal);
    open.state = "complete";
    this.#bytesOut += Number(writtenOf(blob));
  }

  /** What was not completed leaves nothing behind. Never throws: the first failures are told to `onFailure`. */
  async abortOpen(signal: AbortSignal, onFailure: (error: unknown) => void): Promise<void> {
    const open = [...this.#writes.values()].filter(({ state }) => state === "open");
    setMaxListeners(0, signal); // one for each
    await Promise.all(open.map(({ write }) => write.abort(signal).catch(onFailure)));
  }
}

/** A store makes a blob of the parts that it is named: one that is left out would be missing, and with none the blob would be empty. */
function etagsOf({ id = "", chunks }: BLOB, claimedBytes: bigint): readonly string[] {
  const etags = chunks.flatMap(({ etag }) => (etag === undefined || etag === "" ? [] : [etag]));
  const written = writtenOf({ chunks });
  if (written < claimedBytes || (etags.length < chunks.length && written > 0n)) {
    const reason = `blob ${id} is said to hold ${claimedBytes} bytes, and ${etags.length} of its parts were written`;
    throw new ExecutorError("ARTIFACT_NOT_FOUND", { reason });
  }
  return etags;
}

function writtenOf({ chunks }: Pick<BLOB, "chunks">): bigint {
  return chunks.reduce((sum, { size = 0n }) => sum + size, 0n);
}
