import type { CanonicalValue, Receipt } from "../../core/index.ts";
import { canonical } from "../../core/index.ts";
import { digestOf, linkHash } from "./chain-hash.ts";
import { chainId, isSigned, publicKeyOf } from "./chain-key.ts";

/** Checks one receipt by itself. @returns what is wrong with it; nothing if it proves its entry. */
export function verifyReceipt(receipt: Receipt, pinned?: string): readonly string[] {
  const faults: string[] = [];
  const { checkpoint, key, entry } = receipt;
  if (pinned !== undefined && pinned !== key.publicKey) faults.push("it is of another key");
  const publicKey = publicKeyOf(pinned ?? key.publicKey);
  const signature = Buffer.from(receipt.signature, "base64url");
  if (
    chainId(Buffer.from(key.publicKey, "base64url")) !== checkpoint.chain ||
    key.chain !== checkpoint.chain
  ) {
    faults.push("its chain is not that of its key");
  }
  if (publicKey === undefined || !isSigned(checkpoint, signature, publicKey)) {
    faults.push("its checkpoint has a wrong signature");
  }
  if (canonical(JSON.parse(JSON.stringify(entry)) as CanonicalValue) !== receipt.canonical) {
    faults.push("its canonical text is not that of its entry");
  }
  let hash = linkHash(Buffer.from(receipt.prev, "hex"), digestOf(receipt.canonical));
  if (hash.toString("hex") !== receipt.hash) faults.push("its entry or its hash was changed");
  const { following, next } = receipt;
  for (const [index, digest] of following.entries()) {
    hash = linkHash(hash, Buffer.from(digest, "hex"));
    if (index === 0 && next !== undefined && next !== hash.toString("hex"))
      faults.push("its next hash is wrong");
  }
  if (hash.toString("hex") !== checkpoint.head) faults.push("it does not lead to the signed hash");
  if (entry.seq < checkpoint.first || entry.seq + following.length !== checkpoint.last) {
    faults.push("it is not where its checkpoint says");
  }
  return faults;
}
