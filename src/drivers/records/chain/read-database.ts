import { statSync } from "node:fs";
import { pathToFileURL } from "node:url";
import type Database from "libsql";
import type { ReceiptKey } from "../../../core/index.ts";
import { CHAIN_VERSION } from "./chain-tables.ts";
import type { OpenDatabase } from "./open-database.ts";

/**
 * Nothing is written and nothing is locked: the state directory is this process's alone, and a connection that the library has
 * closed keeps its locks until its memory is reclaimed.
 *
 * @see SQLite, "Uniform Resource Identifiers" and "The OS Interface or VFS".
 */
const READ_ONLY = "mode=ro&vfs=unix-none";

/**
 * Opens a chain that cannot be opened for writing now, as on a full disk, without writing a byte.
 *
 * @returns `undefined` where there is none of this key and this form.
 * @throws what the database says of a file that cannot be read.
 */
export function readDatabase(
  Libsql: OpenDatabase,
  file: string,
  { publicKey }: ReceiptKey,
): Database.Database | undefined {
  if ((statSync(file, { throwIfNoEntry: false })?.size ?? 0) === 0) return undefined;
  const connection = new Libsql(`${pathToFileURL(file).href}?${READ_ONLY}`);
  let isOurs = false;
  try {
    // Without it SQLite makes a file beside this one, which takes room.
    connection.pragma("locking_mode = EXCLUSIVE");
    isOurs = isOf(connection, publicKey);
    return isOurs ? connection : undefined;
  } finally {
    if (!isOurs) connection.close();
  }
}

function isOf(connection: Database.Database, publicKey: string): boolean {
  const rows = connection.pragma("user_version") as readonly { readonly user_version: number }[] | undefined;
  if (rows?.[0]?.user_version !== CHAIN_VERSION) return false;
  const owner = connection.prepare("SELECT public_key FROM chain").get() as
    | { readonly public_key: string }
    | undefined;
  return owner?.public_key === publicKey;
}
