import { setMaxListeners } from "node:events";
import type { ArtifactStore } from "../../../src/core/index.ts";

/** A store, and what the suite must know of it beside the port. */
export interface StoreUnderTest {
  readonly store: ArtifactStore;
  /** What a caller cannot see: halves of files, uploads that were begun and not ended. */
  leftovers(): Promise<readonly string[]>;
}

export interface StoreKind {
  readonly name: string;
  /** An empty store; `end` removes it. */
  open(): Promise<StoreUnderTest & { end(): Promise<void> }>;
  /** What the suite streams through it to see that memory does not follow. */
  readonly largeBytes: number;
  /** More than it sends in one request, so that an upload in pieces is met too. */
  readonly severalPiecesBytes: number;
}

export const forever: AbortSignal = new AbortController().signal;
// The suite has ten writers at once on it.
setMaxListeners(0, forever);
export const AMPLE = { maxBytes: Number.MAX_SAFE_INTEGER };

export async function* textSource(text: string): AsyncIterable<Uint8Array> {
  yield Buffer.from(text);
}

/** `bytes` of a pattern in which no two megabytes are equal, made of one buffer. */
export async function* longSource(bytes: number): AsyncIterable<Uint8Array> {
  const piece = Buffer.alloc(2 ** 20, "0123456789abcdef");
  for (let at = 0; at < bytes; at += piece.length) {
    piece.writeBigUInt64LE(BigInt(at), 0);
    yield Buffer.from(piece.subarray(0, Math.min(piece.length, bytes - at)));
  }
}

export async function readAll(contents: AsyncIterable<Uint8Array>): Promise<string> {
  const pieces: Uint8Array[] = [];
  for await (const piece of contents) pieces.push(piece);
  return Buffer.concat(pieces).toString();
}
