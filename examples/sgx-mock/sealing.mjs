// What the mock enclave and its client share: X25519, HKDF-SHA-256, AES-256-GCM and Ed25519, all of them real. The mock is only
// that no processor stands behind the evidence: the key that signs it is made from the sentence below, so anybody can sign.
import {
  createCipheriv,
  createDecipheriv,
  createHash,
  createPrivateKey,
  createPublicKey,
  diffieHellman,
  generateKeyPairSync,
  hkdfSync,
  randomBytes,
  sign,
  verify,
} from "node:crypto";
import { readFileSync } from "node:fs";

const NOT_A_SECRET = "a mock: whoever reads this can sign such evidence";
/** What comes before the 32 bytes of a key in DER (RFC 8410). */
const DER = {
  x25519Public: Buffer.from("302a300506032b656e032100", "hex"),
  ed25519Private: Buffer.from("302e020100300506032b657004220420", "hex"),
};
const IV_BYTES = 12;
const KEY_BYTES = 32;

const seed = createHash("sha256").update(NOT_A_SECRET).digest();
const signingKey = createPrivateKey({
  key: Buffer.concat([DER.ed25519Private, seed]),
  format: "der",
  type: "pkcs8",
});

/** Stands in for MRENCLAVE: what the enclave's code is. */
export function measure() {
  const hash = createHash("sha256");
  for (const name of ["main.mjs", "sealing.mjs"]) hash.update(readFileSync(new URL(name, import.meta.url)));
  return hash.digest("hex");
}

/** A key pair; the public half as 32 bytes in base64. */
export function newKeys() {
  const { privateKey, publicKey } = generateKeyPairSync("x25519");
  const raw = publicKey.export({ format: "der", type: "spki" }).subarray(DER.x25519Public.length);
  return { privateKey, publicKey: raw.toString("base64") };
}

/** What an enclave says of itself. */
export function makeEvidence(measurement, publicKey) {
  const claims = { mock: true, measurement, publicKey, nonce: randomBytes(16).toString("base64") };
  return { ...claims, signature: sign(null, toSign(claims), signingKey).toString("base64") };
}

/** @throws Error that says what is wrong with it. */
export function checkEvidence(evidence, measurement) {
  if (evidence?.mock !== true)
    throw new Error("this is no evidence of the mock; a real enclave's needs a real verifier");
  const { signature, ...claims } = evidence;
  const isSigned = verify(
    null,
    toSign(claims),
    createPublicKey(signingKey),
    Buffer.from(signature, "base64"),
  );
  if (!isSigned) throw new Error("the evidence's signature is wrong");
  if (evidence.measurement !== measurement)
    throw new Error("the server runs other code than this client knows");
}

function toSign({ measurement, publicKey, nonce }) {
  return Buffer.from(JSON.stringify(["sgx-mock evidence", measurement, publicKey, nonce]));
}

/**
 * Encrypts for the other side. Each direction has a key of its own, and both public keys are part of what is authenticated, so
 * that nothing of one exchange is taken in another.
 */
export function seal(text, direction, own, otherPublicKey) {
  const iv = randomBytes(IV_BYTES);
  const cipher = createCipheriv("aes-256-gcm", keyFor(direction, own, otherPublicKey), iv);
  cipher.setAAD(bothKeys(own.publicKey, otherPublicKey));
  const ciphertext = Buffer.concat([cipher.update(text, "utf8"), cipher.final()]);
  return {
    publicKey: own.publicKey,
    iv: iv.toString("base64"),
    ciphertext: ciphertext.toString("base64"),
    tag: cipher.getAuthTag().toString("base64"),
  };
}

/** @throws Error when it was not sealed for these keys in this direction. */
export function open({ iv, ciphertext, tag }, direction, own, otherPublicKey) {
  const key = keyFor(direction, own, otherPublicKey);
  const decipher = createDecipheriv("aes-256-gcm", key, Buffer.from(iv, "base64"), { authTagLength: 16 });
  decipher.setAAD(bothKeys(own.publicKey, otherPublicKey));
  decipher.setAuthTag(Buffer.from(tag, "base64"));
  const text = Buffer.concat([decipher.update(Buffer.from(ciphertext, "base64")), decipher.final()]);
  return text.toString("utf8");
}

function keyFor(direction, own, otherPublicKey) {
  const publicKey = createPublicKey({
    key: Buffer.concat([DER.x25519Public, Buffer.from(otherPublicKey, "base64")]),
    format: "der",
    type: "spki",
  });
  const shared = diffieHellman({ privateKey: own.privateKey, publicKey });
  const salt = bothKeys(own.publicKey, otherPublicKey);
  return Buffer.from(hkdfSync("sha256", shared, salt, `sgx-mock ${direction}`, KEY_BYTES));
}

/** The same for both sides. */
function bothKeys(one, other) {
  return Buffer.from([one, other].sort().join("|"));
}
