/**
 * A write under way, in numbered parts from 1. Exactly one of `complete` and `abort` ends it; the other is then no change.
 */
export interface BlobWrite {
  /** The blob's own URI: what is reported, never a part's. */
  readonly uri: string;
  /** Where somebody without credentials may put a part's bytes; for a file the URI itself, for every part. */
  partUri(part: number, signal: AbortSignal): Promise<string>;
  /** Makes the parts one blob, in the order of their etags. @throws {@link ExecutorError} as the store. */
  complete(etags: readonly string[], signal: AbortSignal): Promise<void>;
  /** Nothing of it is left. No error if there is nothing. */
  abort(signal: AbortSignal): Promise<void>;
}

/**
 * Blobs named by URI (`file://…` and `s3://bucket/key`, taken word for word), read and written by workers that have no
 * credentials: this hands out addresses that are good for one blob each (`contracts/indexify.md` section 7).
 *
 * @throws {@link ExecutorError} ARTIFACT_KEY_INVALID (another scheme, or a path outside what is allowed), ARTIFACT_NOT_FOUND,
 * ARTIFACT_STORE_DENIED, ARTIFACT_STORE_UNAVAILABLE; the signal's reason.
 */
export interface BlobStore extends AsyncDisposable {
  /** In bytes; `undefined` if there is no such blob, and an error if that cannot be known. */
  size(uri: string, signal: AbortSignal): Promise<bigint | undefined>;
  /** An address to read the blob from, by ranges, without credentials. That there is none is said where nobody need be asked. */
  readUri(uri: string, signal: AbortSignal): Promise<string>;
  /** Whether a blob of that name could be written, as far as can be known without asking anybody for it; its folder is made. */
  checkWrite(uri: string, signal: AbortSignal): Promise<void>;
  /** Begins to write a blob anew: nothing of an older and longer one shows through. */
  beginWrite(uri: string, signal: AbortSignal): Promise<BlobWrite>;
  /** A whole blob that is small. @throws ARTIFACT_TOO_LARGE above `maxBytes`. */
  read(uri: string, maxBytes: number, signal: AbortSignal): Promise<Uint8Array>;
}
