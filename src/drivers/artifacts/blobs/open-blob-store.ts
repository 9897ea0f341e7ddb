import type { BlobStore } from "../../../core/index.ts";
import { ExecutorError } from "../../../core/index.ts";
import type { ConnectionOptions } from "../s3/connection.ts";
import { quietLibrary } from "../s3/quiet-library.ts";
import { FILE_SCHEME, type FileBlobOptions, openFileBlobs } from "./file-blobs.ts";
import { S3_SCHEME } from "./s3-uri.ts";

export interface BlobStoreOptions {
  readonly files: FileBlobOptions;
  readonly s3?: ConnectionOptions;
}

/**
 * Blobs by their scheme: `file://` and `s3://`. The library for S3 is loaded, and credentials are looked for, with the first
 * `s3://` URI: without them only those fail.
 */
export function openBlobStore({ files, s3 = {} }: BlobStoreOptions): BlobStore {
  const inFiles = openFileBlobs(files);
  let inS3: Promise<BlobStore> | undefined;
  const storeOf = async (uri: string): Promise<BlobStore> => {
    if (uri.startsWith(FILE_SCHEME)) return inFiles;
    if (uri.startsWith(S3_SCHEME)) return (inS3 ??= loadS3(s3));
    const reason = `only ${FILE_SCHEME} and ${S3_SCHEME} can be read and written`;
    throw new ExecutorError("ARTIFACT_KEY_INVALID", { key: uri, reason });
  };
  return {
    size: async (uri, signal) => (await storeOf(uri)).size(uri, signal),
    readUri: async (uri, signal) => (await storeOf(uri)).readUri(uri, signal),
    checkWrite: async (uri, signal) => (await storeOf(uri)).checkWrite(uri, signal),
    beginWrite: async (uri, signal) => (await storeOf(uri)).beginWrite(uri, signal),
    read: async (uri, maxBytes, signal) => (await storeOf(uri)).read(uri, maxBytes, signal),
    [Symbol.asyncDispose]: async () => {
      await inFiles[Symbol.asyncDispose]();
      await (await inS3)?.[Symbol.asyncDispose]();
    },
  };
}

async function loadS3(options: ConnectionOptions): Promise<BlobStore> {
  quietLibrary();
  const { openS3Blobs } = await import("./s3-blobs.ts");
  return openS3Blobs(options);
}
