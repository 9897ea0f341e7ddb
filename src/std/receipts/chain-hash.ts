import { hash } from "node:crypto";

/** What stands before the first block of a chain. */
export const GENESIS = Buffer.alloc(32);

/** SHA-256 of a text. */
export function digestOf(text: string | Uint8Array): Buffer {
  return hash("sha256", text, "buffer");
}

const pair = Buffer.allocUnsafe(64);

/** The hash of a block: SHA-256 of the hash of the block before it and of its own text's digest, 32 bytes each. */
export function linkHash(prev: Uint8Array, digest: Uint8Array): Buffer {
  pair.set(prev, 0);
  pair.set(digest, 32);
  return hash("sha256", pair, "buffer");
}
