import {
  AbortMultipartUploadCommand,
  CompleteMultipartUploadCommand,
  CreateMultipartUploadCommand,
  PutObjectCommand,
  UploadPartCommand,
} from "@aws-sdk/client-s3";
import type { PieceMemory } from "../pieces.ts";
import { inPieces, pieceMemory, resumed } from "../pieces.ts";
import { isUnknownUpload, s3Failure } from "./failure.ts";
import { headObject } from "./head-object.ts";
import type { Target } from "./target.ts";

/** Pieces on their way at once; each is in memory until it has arrived. */
const PARALLEL = 3;
/** Ending an upload that failed has its own time: its caller may have none left. */
const CLEANUP_MS = 30_000;

/** Writes a stream: a short one in one request, a long one in pieces that become an object together or not at all. */
export async function writeObject(
  target: Target,
  contents: AsyncIterable<Uint8Array>,
  signal: AbortSignal,
): Promise<void> {
  const memory = pieceMemory();
  const pieces = inPieces(contents, memory)[Symbol.asyncIterator]();
  try {
    const first = await pieces.next();
    const second = await pieces.next();
    const one = first.done === true ? Buffer.alloc(0) : first.value;
    if (second.done === true) await putWhole(target, one, signal);
    else await putPieces(target, resumed([one, second.value], pieces), memory, signal);
  } finally {
    await pieces.return?.();
  }
}

/** An object of no bytes. */
export const putEmpty = (target: Target, signal: AbortSignal): Promise<void> =>
  putWhole(target, Buffer.alloc(0), signal);

async function putWhole(
  { connection, key, address }: Target,
  body: Buffer,
  signal: AbortSignal,
): Promise<void> {
  const input = { ...address, Body: body, ContentLength: body.length };
  await connection.send(key, signal, (client, inner) =>
    client.send(new PutObjectCommand(input), { abortSignal: inner }),
  );
}

async function putPieces(
  target: Target,
  pieces: AsyncIterable<Buffer>,
  memory: PieceMemory,
  signal: AbortSignal,
): Promise<void> {
  const uploadId = await beginUpload(target, signal);
  try {
    const sent = await sendPieces(target, uploadId, pieces, memory, signal);
    await completeUpload(target, uploadId, sent, signal);
  } catch (error) {
    // What stands in the bucket then is removed by its own rule for uploads that were never ended, if it has one.
    await abortUpload(target, uploadId, AbortSignal.timeout(CLEANUP_MS)).catch(() => undefined);
    throw error;
  }
}

interface Sent {
  readonly etags: readonly string[];
  readonly bytes: number;
}

async function sendPieces(
  target: Target,
  uploadId: string,
  pieces: AsyncIterable<Buffer>,
  memory: PieceMemory,
  signal: AbortSignal,
): Promise<Sent> {
  const etags: string[] = [];
  let bytes = 0;
  const under = new Set<Promise<void>>();
  const broken = new AbortController();
  const stop = (): void => broken.abort(signal.reason);
  signal.addEventListener("abort", stop, { once: true });
  try {
    for await (const piece of pieces) {
      const index = etags.push("") - 1;
      bytes += piece.length;
      const sending = sendPiece(target, uploadId, index + 1, piece, broken.signal).then((etag) => {
        etags[index] = etag;
        under.delete(sending);
        memory.give(piece);
      });
      // Whoever waits below hears of it; until then it must not count as unheard.
      sending.catch((error: unknown) => broken.abort(error));
      under.add(sending);
      if (under.size >= PARALLEL) await Promise.race(under);
      broken.signal.throwIfAborted();
    }
    await Promise.all(under);
    return { etags, bytes };
  } catch (error) {
    broken.abort(error);
    // A piece that arrives after the abort would be kept, and paid for, without an owner.
    await Promise.allSettled(under);
    throw error;
  } finally {
    signal.removeEventListener("abort", stop);
  }
}

async function sendPiece(
  { connection, key, address }: Target,
  UploadId: string,
  PartNumber: number,
  Body: Buffer,
  signal: AbortSignal,
): Promise<string> {
  const input = { ...address, UploadId, PartNumber, Body, ContentLength: Body.length };
  const { ETag } = await connection.send(key, signal, (client, inner) =>
    client.send(new UploadPartCommand(input), { abortSignal: inner }),
  );
  return ETag ?? "";
}

/** @returns the upload's id. */
export async function beginUpload(
  { connection, key, address }: Target,
  signal: AbortSignal,
): Promise<string> {
  const { UploadId } = await connection.send(key, signal, (client, inner) =>
    client.send(new CreateMultipartUploadCommand(address), { abortSignal: inner }),
  );
  return UploadId ?? "";
}

/**
 * Makes an object of the pieces. A server may do so and its answer be lost; the next try then meets an upload that nobody
 * knows, and what counts is whether the object is there.
 */
export async function completeUpload(
  target: Target,
  uploadId: string,
  { etags, bytes }: { readonly etags: readonly string[]; readonly bytes: number | undefined },
  signal: AbortSignal,
): Promise<void> {
  const { connection, key, address } = target;
  const Parts = etags.map((ETag, i) => ({ ETag, PartNumber: i + 1 }));
  const command = { ...address, UploadId: uploadId, MultipartUpload: { Parts } };
  try {
    await connection.send(
      key,
      signal,
      (client, inner) => client.send(new CompleteMultipartUploadCommand(command), { abortSignal: inner }),
      isUnknownUpload,
    );
  } catch (error) {
    if (!isUnknownUpload(error)) throw error;
    if (!(await isThere(target, etags.length, bytes, signal))) throw s3Failure(error, { key });
  }
}

/** S3 ends the tag of an object that was made of pieces with their number. */
async function isThere(
  target: Target,
  pieces: number,
  bytes: number | undefined,
  signal: AbortSignal,
): Promise<boolean> {
  const head = await headObject(target, signal);
  return head?.tag.endsWith(`-${pieces}`) === true && (bytes === undefined || bytes === head.bytes);
}

export async function abortUpload(
  { connection, key, address }: Target,
  uploadId: string,
  signal: AbortSignal,
): Promise<void> {
  await connection
    .send(
      key,
      signal,
      (client, inner) =>
        client.send(new AbortMultipartUploadCommand({ ...address, UploadId: uploadId }), {
          abortSignal: inner,
        }),
      isUnknownUpload,
    )
    .catch((error: unknown) => {
      if (!isUnknownUpload(error)) throw error;
    });
}
