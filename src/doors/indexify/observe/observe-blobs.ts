import type { BlobStore, BlobWrite, IndexifyOperation } from "../../../core/index.ts";
import { timed, type Watch } from "./timed.ts";

/** The same store; what is asked of it is told. */
export function observeBlobs(blobs: BlobStore, watch: Watch): BlobStore {
  const told = <T>(operation: IndexifyOperation, signal: AbortSignal, work: () => Promise<T>): Promise<T> =>
    timed(watch, operation, signal, work);
  const observeWrite = (write: BlobWrite): BlobWrite => ({
    uri: write.uri,
    partUri: (part, signal) => told("blob_store_presign_uri", signal, () => write.partUri(part, signal)),
    complete: (etags, signal) =>
      told("blob_store_complete_multipart_upload", signal, () => write.complete(etags, signal)),
    abort: (signal) => told("blob_store_abort_multipart_upload", signal, () => write.abort(signal)),
  });
  return {
    size: (uri, signal) => told("blob_store_get_metadata", signal, () => blobs.size(uri, signal)),
    readUri: (uri, signal) => told("blob_store_presign_uri", signal, () => blobs.readUri(uri, signal)),
    checkWrite: (uri, signal) => blobs.checkWrite(uri, signal),
    beginWrite: async (uri, signal) => {
      const begin = (): Promise<BlobWrite> => blobs.beginWrite(uri, signal);
      return observeWrite(await told("blob_store_create_multipart_upload", signal, begin));
    },
    read: (uri, maxBytes, signal) => told("blob_store_get", signal, () => blobs.read(uri, maxBytes, signal)),
    [Symbol.asyncDispose]: () => blobs[Symbol.asyncDispose](),
  };
}
