import type { MessageInitShape } from "@bufbuild/protobuf";
import type { BlobStore, BlobWrite } from "../../../core/index.ts";
import type { BLOBSchema } from "../../../gen/function_executor_pb.js";

export type BlobMessage = MessageInitShape<typeof BLOBSchema>;

const MEBIBYTE = 1_048_576n;
const CHUNK_BYTES = 100n * MEBIBYTE;
/** Later parts are bigger, so that the number of parts stays within what S3 takes. */
const LATE_CHUNK_BYTES = 1024n * MEBIBYTE;
const EARLY_CHUNKS = 100;

/** Sizes of the chunks that add up to `bytes`; one empty chunk for nothing (`contracts/indexify.md` 5.3). */
export function chunkSizes(bytes: bigint, kind: "read" | "write"): readonly bigint[] {
  if (bytes === 0n) return [0n];
  const sizes: bigint[] = [];
  for (let left = bytes; left > 0n; ) {
    const isLate = kind === "write" && sizes.length >= EARLY_CHUNKS;
    const most = isLate ? LATE_CHUNK_BYTES : CHUNK_BYTES;
    const size = left < most ? left : most;
    sizes.push(size);
    left -= size;
  }
  return sizes;
}

/** A blob that a worker may read: one address in every chunk, the bytes found by adding up the sizes. */
export async function readBlob(
  blobs: BlobStore,
  id: string,
  uri: string,
  bytes: bigint,
  signal: AbortSignal,
): Promise<BlobMessage> {
  const address = await blobs.readUri(uri, signal);
  return { id, chunks: chunkSizes(bytes, "read").map((size) => ({ uri: address, size })) };
}

/** A blob that a worker may write: one address for each part. */
export async function writeBlob(
  write: BlobWrite,
  id: string,
  bytes: bigint,
  signal: AbortSignal,
): Promise<BlobMessage> {
  const sizes = chunkSizes(bytes, "write");
  const chunks: { readonly uri: string; readonly size: bigint }[] = [];
  // One after the other: there may be hundreds, and each is computed here without asking anybody.
  for (const size of sizes) chunks.push({ uri: await write.partUri(chunks.length + 1, signal), size });
  return { id, chunks };
}
