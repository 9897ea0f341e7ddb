import type { KeyObject } from "node:crypto";
import { createPublicKey, sign, verify } from "node:crypto";
import type { CanonicalValue, Checkpoint, ExportEnd, Receipt, ReceiptKey } from "../../core/index.ts";
import { canonical } from "../../core/index.ts";
import { digestOf } from "./chain-hash.ts";

/** A raw Ed25519 key in its `SubjectPublicKeyInfo` has this before it (RFC 8410 section 4). */
const SPKI_HEAD = Buffer.from("302a300506032b6570032100", "hex");
const RAW_BYTES = 32;

/** What others may know of a key. */
export function receiptKey(key: KeyObject): ReceiptKey {
  const spki = createPublicKey(key).export({ type: "spki", format: "der" });
  const raw = spki.subarray(SPKI_HEAD.length);
  return { algorithm: "Ed25519", publicKey: raw.toString("base64url"), chain: chainId(raw) };
}

/** Names a chain by its key: the first half of the SHA-256 of the raw public key. */
export function chainId(rawKey: Uint8Array): string {
  return digestOf(rawKey).toString("hex", 0, 16);
}

/** @returns `undefined` for what is no raw Ed25519 key in base64url. */
export function publicKeyOf(text: string): KeyObject | undefined {
  const raw = Buffer.from(text, "base64url");
  if (raw.length !== RAW_BYTES || raw.toString("base64url") !== text) return undefined;
  try {
    return createPublicKey({ key: Buffer.concat([SPKI_HEAD, raw]), format: "der", type: "spki" });
  } catch {
    return undefined;
  }
}

/** The first line keeps one kind of statement from being taken for another. */
const CHECKPOINT = "hearth-checkpoint-2";
const END = "hearth-export-2";
const RECEIPT = "hearth-receipt-2";

export function signCheckpoint(checkpoint: Checkpoint, privateKey: KeyObject): Buffer {
  return sign(null, signedText(CHECKPOINT, { ...checkpoint }), privateKey);
}

export function isSigned(checkpoint: Checkpoint, signature: Uint8Array, publicKey: KeyObject): boolean {
  return isOf(signedText(CHECKPOINT, { ...checkpoint }), signature, publicKey);
}

export function signEnd(end: ExportEnd, privateKey: KeyObject): Buffer {
  return sign(null, signedText(END, { ...end }), privateKey);
}

export function isEndSigned(end: ExportEnd, signature: Uint8Array, publicKey: KeyObject): boolean {
  return isOf(signedText(END, { ...end }), signature, publicKey);
}

/** What is signed of a receipt: that this entry stands in the block of this checkpoint. */
export type ReceiptStatement = Pick<Receipt, "canonical" | "checkpoint" | "atUs">;

export function signReceipt(statement: ReceiptStatement, privateKey: KeyObject): Buffer {
  return sign(null, receiptText(statement), privateKey);
}

export function isReceiptSigned(
  statement: ReceiptStatement,
  signature: Uint8Array,
  publicKey: KeyObject,
): boolean {
  return isOf(receiptText(statement), signature, publicKey);
}

function receiptText({ canonical: text, checkpoint, atUs }: ReceiptStatement): Buffer {
  const digest = digestOf(text).toString("hex");
  return signedText(RECEIPT, { atUs, checkpoint: { ...checkpoint }, digest });
}

function signedText(what: string, value: CanonicalValue): Buffer {
  return Buffer.from(`${what}\n${canonical(value)}`);
}

function isOf(text: Buffer, signature: Uint8Array, publicKey: KeyObject): boolean {
  return signature.length === 64 && verify(null, text, publicKey, signature);
}

/** A signature's bytes; `undefined` if they could be spelt another way. */
export function exactly(signature: string): Buffer | undefined {
  const bytes = Buffer.from(signature, "base64url");
  return bytes.toString("base64url") === signature ? bytes : undefined;
}
