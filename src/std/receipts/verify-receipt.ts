import type { CanonicalValue, Receipt } from "../../core/index.ts";
import { canonical } from "../../core/index.ts";
import { chainId, exactly, isReceiptSigned, publicKeyOf } from "./chain-key.ts";

/** Checks one receipt by itself. @returns what is wrong with it, a sentence each; nothing if it proves its entry. */
export function verifyReceipt(receipt: Receipt, pinned?: string): readonly string[] {
  return [...wrongForm(receipt), ...wrongEntry(receipt), ...wrongKey(receipt, pinned)];
}

/** All that a receipt has. What else stands in one is signed by nobody, and must not be taken for proven. */
const FIELDS = {
  receipt: ["entry", "canonical", "checkpoint", "atUs", "signature", "key"],
  checkpoint: ["chain", "first", "last", "prev", "head", "atUs"],
  key: ["algorithm", "publicKey", "chain"],
} as const satisfies Record<string, readonly string[]>;
const HEX = /^[0-9a-f]{64}$/;

function* wrongForm(receipt: Receipt): Generator<string> {
  const { checkpoint, key } = receipt;
  yield* strangers(receipt, FIELDS.receipt);
  yield* strangers(checkpoint, FIELDS.checkpoint);
  yield* strangers(key, FIELDS.key);
  const algorithm: string = key.algorithm; // of a text from outside
  if (algorithm !== "Ed25519") yield "its key's algorithm is not Ed25519";
  if (![checkpoint.prev, checkpoint.head].every((hash) => HEX.test(hash)))
    yield "one of its hashes is not 64 hexadecimal digits";
}

function* strangers(value: object, fields: readonly string[]): Generator<string> {
  for (const name of Object.keys(value)) {
    if (!fields.includes(name)) yield `\`${name}\` is no part of a receipt, and nobody signed it`;
  }
}

function* wrongEntry({ entry, canonical: text, checkpoint }: Receipt): Generator<string> {
  if (canonical(JSON.parse(JSON.stringify(entry)) as CanonicalValue) !== text) {
    yield "its canonical text is not that of its entry";
  }
  if (entry.seq < checkpoint.first || entry.seq > checkpoint.last) {
    yield "it is not where its checkpoint says";
  }
}

function* wrongKey(receipt: Receipt, pinned: string | undefined): Generator<string> {
  const { checkpoint, key, signature } = receipt;
  if (pinned !== undefined && pinned !== key.publicKey) yield "it is of another key";
  const publicKey = publicKeyOf(pinned ?? key.publicKey);
  const name = chainId(Buffer.from(key.publicKey, "base64url"));
  if (name !== checkpoint.chain || key.chain !== checkpoint.chain) yield "its chain is not that of its key";
  const bytes = exactly(signature);
  if (publicKey === undefined || bytes === undefined || !isReceiptSigned(receipt, bytes, publicKey)) {
    yield "its entry or its checkpoint was changed: its signature is wrong";
  }
}
