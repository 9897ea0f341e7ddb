import type { BlobStore, BlobWrite } from "../../../core/index.ts";
import { ExecutorError } from "../../../core/index.ts";
import type { ConnectionOptions } from "../s3/connection.ts";
import { headObject } from "../s3/head-object.ts";
import { partLink, readLink } from "../s3/presign.ts";
import { openObject } from "../s3/read-object.ts";
import type { Target } from "../s3/target.ts";
import { abortUpload, beginUpload, completeUpload, putEmpty } from "../s3/write-object.ts";
import { openRegions } from "./s3-regions.ts";
import { addressOfUri } from "./s3-uri.ts";

/** As long as a signature can live: a worker may hold on to a link for the whole of its allocation (`contracts/indexify.md` 7.2). */
const LINK_LIFE_MS = 7 * 24 * 3_600_000;

/** Blobs in S3, read and written through links that are signed with this host's credentials. Nothing is asked of S3 yet. */
export function openS3Blobs(options: ConnectionOptions): BlobStore {
  const regions = openRegions(options);
  const targetOf = async (uri: string, signal: AbortSignal): Promise<Target> => {
    const address = addressOfUri(uri);
    return { connection: await regions.connectionTo(address.Bucket, signal), key: uri, address };
  };
  return {
    size: async (uri, signal) => {
      const head = await headObject(await targetOf(uri, signal), signal);
      return head === undefined ? undefined : BigInt(head.bytes);
    },
    readUri: async (uri, signal) => {
      const target = await targetOf(uri, signal);
      return await signed(target, () => readLink(target, LINK_LIFE_MS), signal);
    },
    checkWrite: async (uri, signal) => {
      signal.throwIfAborted();
      addressOfUri(uri);
    },
    beginWrite: async (uri, signal) => {
      const target = await targetOf(uri, signal);
      return new S3Write(target, await beginUpload(target, signal));
    },
    read: async (uri, maxBytes, signal) => readWhole(await targetOf(uri, signal), maxBytes, signal),
    [Symbol.asyncDispose]: async () => regions[Symbol.dispose](),
  };
}

/** Signing asks nothing of S3, and the credentials that it needs may still have to be fetched. */
function signed(
  { connection, key }: Target,
  sign: () => Promise<string>,
  signal: AbortSignal,
): Promise<string> {
  return connection.send(key, signal, sign);
}

class S3Write implements BlobWrite {
  readonly uri: string;
  readonly #target: Target;
  readonly #uploadId: string;
  #isOver = false;

  constructor(target: Target, uploadId: string) {
    this.uri = target.key;
    this.#target = target;
    this.#uploadId = uploadId;
  }

  partUri(part: number, signal: AbortSignal): Promise<string> {
    const sign = (): Promise<string> => partLink(this.#target, this.#uploadId, part, LINK_LIFE_MS);
    return signed(this.#target, sign, signal);
  }

  async complete(etags: readonly string[], signal: AbortSignal): Promise<void> {
    if (this.#isOver) return;
    if (etags.length > 0) {
      await completeUpload(this.#target, this.#uploadId, { etags, bytes: undefined }, signal);
    } else {
      // S3 makes no object of no parts.
      await putEmpty(this.#target, signal);
      await abortUpload(this.#target, this.#uploadId, signal);
    }
    this.#isOver = true;
  }

  async abort(signal: AbortSignal): Promise<void> {
    if (this.#isOver) return;
    await abortUpload(this.#target, this.#uploadId, signal);
    this.#isOver = true;
  }
}

async function readWhole(target: Target, maxBytes: number, signal: AbortSignal): Promise<Uint8Array> {
  const { bytes, contents } = await openObject(target, "s3", undefined, signal);
  const pieces: Uint8Array[] = [];
  let taken = 0;
  for await (const piece of contents) {
    taken += piece.length;
    if (Math.max(bytes, taken) > maxBytes)
      throw new ExecutorError("ARTIFACT_TOO_LARGE", { key: target.key, limitBytes: maxBytes });
    pieces.push(piece);
  }
  return Buffer.concat(pieces);
}
