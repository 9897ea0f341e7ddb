import type { KeyObject } from "node:crypto";
import { createPrivateKey, generateKeyPairSync } from "node:crypto";
import { chmod, open, readFile, rename } from "node:fs/promises";
import { dirname } from "node:path";
import { ExecutorError } from "../../../core/index.ts";

export interface LoadedKey {
  readonly key: KeyObject;
  /** It was made just now: no chain can have been signed with it. */
  readonly isNew: boolean;
}

/** Reads the key that signs receipts, or makes one at the first start: for its owner's eyes only, and whole or not at all. */
export async function loadReceiptKey(file: string): Promise<LoadedKey> {
  try {
    const text = await readFile(file);
    await chmod(file, 0o600);
    return { key: ed25519(text, file), isNew: false };
  } catch (error) {
    if ((error as { readonly code?: unknown }).code !== "ENOENT") throw error;
  }
  const { privateKey } = generateKeyPairSync("ed25519");
  await writeDurably(file, privateKey.export({ type: "pkcs8", format: "pem" }));
  return { key: privateKey, isNew: true };
}

function ed25519(text: Buffer, file: string): KeyObject {
  const key = createPrivateKey(text);
  if (key.asymmetricKeyType === "ed25519") return key;
  throw new ExecutorError("RECORDS_UNAVAILABLE", { reason: `${file} holds no Ed25519 key` });
}

async function writeDurably(file: string, text: string | Buffer): Promise<void> {
  const half = `${file}.${process.pid}`;
  const handle = await open(half, "w", 0o600);
  try {
    await handle.writeFile(text);
    await handle.sync();
  } finally {
    await handle.close();
  }
  await rename(half, file);
  const folder = await open(dirname(file), "r");
  try {
    // A receipt must not outlive its key.
    await folder.sync();
  } finally {
    await folder.close();
  }
}
