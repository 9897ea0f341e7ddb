import type { CanonicalValue, Receipt } from "../../core/index.ts";
import { canonical } from "../../core/index.ts";
import { digestOf, linkHash } from "./chain-hash.ts";
import { chainId, isSigned, publicKeyOf } from "./chain-key.ts";

/** Checks one receipt by itself. @returns what is wrong with it, a sentence each; nothing if it proves its entry. */
export function verifyReceipt(receipt: Receipt, pinned?: string): readonly string[] {
  return [...wrongKey(receipt, pinned), ...wrongEntry(receipt), ...wrongPath(receipt)];
}

function* wrongKey({ checkpoint, key, signature }: Receipt, pinned: string | undefined): Generator<string> {
  if (pinned !== undefined && pinned !== key.publicKey) yield "it is of another key";
  const publicKey = publicKeyOf(pinned ?? key.publicKey);
  const name = chainId(Buffer.from(key.publicKey, "base64url"));
  if (name !== checkpoint.chain || key.chain !== checkpoint.chain) yield "its chain is not that of its key";
  const bytes = Buffer.from(signature, "base64url");
  if (publicKey === undefined || !isSigned(checkpoint, bytes, publicKey)) {
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
