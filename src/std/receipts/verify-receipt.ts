import type { CanonicalValue, Receipt } from "../../core/index.ts";
import { canonical } from "../../core/index.ts";
import { digestOf, linkHash } from "./chain-hash.ts";
import { chainId, exactly, isSigned, publicKeyOf } from "./chain-key.ts";

/** Checks one receipt by itself. @returns what is wrong with it, a sentence each; nothing if it proves its entry. */
export function verifyReceipt(receipt: Receipt, pinned?: string): readonly string[] {
  return [...wrongForm(receipt), ...wrongKey(receipt, pinned), ...wrongEntry(receipt), ...wrongPath(receipt)];
}

/** All that a receipt has. What else stands in one is signed by nobody, and must not be taken for proven. */
const FIELDS = {
  receipt: [
    ...["entry", "canonical", "prev", "hash", "next"],
    ...["following", "checkpoint", "signature", "key"],
  ],
  checkpoint: ["chain", "first", "last", "prev", "head", "atUs"],
  key: ["algorithm", "publicKey", "chain"],
} as const satisfies Record<string, readonly string[]>;
const HEX = /^[0-9a-f]{64}$/;

function* wrongForm(receipt: Receipt): Generator<string> {
  const { checkpoint, key, prev, following, next } = receipt;
  yield* strangers(receipt, FIELDS.receipt);
  yield* strangers(checkpoint, FIELDS.checkpoint);
  yield* strangers(key, FIELDS.key);
  const algorithm: string = key.algorithm; // of a text from outside
  if (algorithm !== "Ed25519") yield "its key's algorithm is not Ed25519";
  const hashes = [
    prev,
    checkpoint.prev,
    checkpoint.head,
    ...following,
    ...(next === undefined ? [] : [next]),
  ];
  if (!hashes.every((hash) => HEX.test(hash))) yield "one of its hashes is not 64 hexadecimal digits";
}

function* strangers(value: object, fields: readonly string[]): Generator<string> {
  for (const name of Object.keys(value)) {
    if (!fields.includes(name)) yield `\`${name}\` is no part of a receipt, and nobody signed it`;
  }
}

function* wrongKey({ checkpoint, key, signature }: Receipt, pinned: string | undefined): Generator<string> {
  if (pinned !== undefined && pinned !== key.publicKey) yield "it is of another key";
  const publicKey = publicKeyOf(pinned ?? key.publicKey);
  const name = chainId(Buffer.from(key.publicKey, "base64url"));
  if (name !== checkpoint.chain || key.chain !== checkpoint.chain) yield "its chain is not that of its key";
  const bytes = exactly(signature);
  if (publicKey === undefined || bytes === undefined || !isSigned(checkpoint, bytes, publicKey)) {
    yield "its checkpoint has a wrong signature";
  }
}

function* wrongEntry({ entry, canonical: text, prev, hash }: Receipt): Generator<string> {
  if (canonical(JSON.parse(JSON.stringify(entry)) as CanonicalValue) !== text) {
    yield "its canonical text is not that of its entry";
  }
  const linked = linkHash(Buffer.from(prev, "hex"), digestOf(text));
  if (linked.toString("hex") !== hash) yield "its entry or its hash was changed";
}

/** From the entry's hash to the one that is signed. */
function* wrongPath({ entry, hash, following, next, checkpoint }: Receipt): Generator<string> {
  let at: Buffer = Buffer.from(hash, "hex");
  for (const [index, digest] of following.entries()) {
    at = linkHash(at, Buffer.from(digest, "hex"));
    if (index === 0 && next !== undefined && next !== at.toString("hex")) yield "its next hash is wrong";
  }
  if (at.toString("hex") !== checkpoint.head) yield "it does not lead to the signed hash";
  if (entry.seq < checkpoint.first || entry.seq + following.length !== checkpoint.last) {
    yield "it is not where its checkpoint says";
  }
}
