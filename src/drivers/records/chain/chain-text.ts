import type { Checkpoint, ExportEnd } from "../../../core/index.ts";
import { checkpointLine, endLine, entryLine } from "../../../std/receipts/index.ts";
import type { BlockRow } from "./chain-tables.ts";

export const HASH_BYTES = 32;

/** The hash of an entry by its place in its block; hexadecimal. */
export function hashOf({ hashes }: BlockRow, index: number): string {
  return hashes.toString("hex", index * HASH_BYTES, (index + 1) * HASH_BYTES);
}

export function checkpointOf(row: BlockRow, chain: string): Checkpoint {
  const { first, last, prev, head, at_us: atUs } = row;
  return { chain, first, last, prev: prev.toString("hex"), head: head.toString("hex"), atUs };
}

/** A block as an export has it, with what is stored, right or wrong. */
export function blockLines(row: BlockRow, checkpoint: Checkpoint): string {
  const lines = row.entries
    .toString()
    .split("\n")
    .map((text, index) => entryLine(text, hashOf(row, index)));
  lines.push(checkpointLine(checkpoint, row.signature.toString("base64url")));
  return `${lines.join("\n")}\n`;
}

export function endLines(end: ExportEnd, signature: Buffer): string {
  return `${endLine(end, signature.toString("base64url"))}\n`;
}
