import { CopyObjectCommand, DeleteObjectCommand, UploadPartCopyCommand } from "@aws-sdk/client-s3";
import { ExecutorError } from "../../../core/index.ts";
import { headObject } from "./head-object.ts";
import type { Target } from "./target.ts";
import { abortUpload, beginUpload, completeUpload } from "./write-object.ts";

const GIB = 2 ** 30;
/** S3 copies no more than this in one request. */
const WHOLE_COPY_BYTES = 5 * GIB;
const PIECE_BYTES = GIB;
/** As for uploads that fail. */
const CLEANUP_MS = 30_000;

/** Copies within the store and removes the source. The target appears whole, as every object does. */
export async function moveObject(from: Target, to: Target, signal: AbortSignal): Promise<void> {
  const bytes = await sizeOf(from, signal);
  if (bytes === undefined) {
    // A try before this one may have come to its end without our hearing of it.
    if ((await sizeOf(to, signal)) === undefined)
      throw new ExecutorError("ARTIFACT_NOT_FOUND", { key: from.key });
    return;
  }
  if (bytes <= WHOLE_COPY_BYTES) await copyWhole(from, to, signal);
  else await copyPieces(from, to, bytes, signal);
  await removeObject(from, signal);
}

/** The object's size; `undefined` when there is none. */
async function sizeOf(target: Target, signal: AbortSignal): Promise<number | undefined> {
  return (await headObject(target, signal))?.bytes;
}

export async function removeObject({ connection, key, address }: Target, signal: AbortSignal): Promise<void> {
  try {
    await connection.send(key, signal, (client, inner) =>
      client.send(new DeleteObjectCommand(address), { abortSignal: inner }),
    );
  } catch (error) {
    // Some servers say so of what is not there.
    if (!(error instanceof ExecutorError) || error.code !== "ARTIFACT_NOT_FOUND") throw error;
  }
}

/** Keys hold nothing that would have to be escaped in a header; prefixes may. */
const sourceOf = ({ address }: Target): string =>
  [address.Bucket, ...address.Key.split("/")].map(encodeURIComponent).join("/");

async function copyWhole(from: Target, to: Target, signal: AbortSignal): Promise<void> {
  const input = { ...to.address, CopySource: sourceOf(from) };
  await to.connection.send(to.key, signal, (client, inner) =>
    client.send(new CopyObjectCommand(input), { abortSignal: inner }),
  );
}

async function copyPieces(from: Target, to: Target, bytes: number, signal: AbortSignal): Promise<void> {
  const UploadId = await beginUpload(to, signal);
  try {
    const etags: string[] = [];
    for (let at = 0; at < bytes; at += PIECE_BYTES) {
      const CopySourceRange = `bytes=${at}-${Math.min(at + PIECE_BYTES, bytes) - 1}`;
      const input = {
        ...to.address,
        UploadId,
        PartNumber: etags.length + 1,
        CopySource: sourceOf(from),
        CopySourceRange,
      };
      const { CopyPartResult } = await to.connection.send(to.key, signal, (client, inner) =>
        client.send(new UploadPartCopyCommand(input), { abortSignal: inner }),
      );
      etags.push(CopyPartResult?.ETag ?? "");
    }
    await completeUpload(to, UploadId, { etags, bytes }, signal);
  } catch (error) {
    await abortUpload(to, UploadId, AbortSignal.timeout(CLEANUP_MS)).catch(() => undefined);
    throw error;
  }
}
