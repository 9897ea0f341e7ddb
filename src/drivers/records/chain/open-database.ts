import { closeSync, openSync, renameSync } from "node:fs";
import type Database from "libsql";
import type { ReceiptKey } from "../../../core/index.ts";
import { ExecutorError } from "../../../core/index.ts";
import { transact } from "../transact.ts";
import { CHAIN_TABLES, CHAIN_VERSION } from "./chain-tables.ts";

export type OpenDatabase = new (file: string) => Database.Database;

/** A chain that can be written. */
export interface OpenedDatabase {
  readonly connection: Database.Database;
  /** Where a chain went that nobody goes on with. */
  readonly setAside: string | undefined;
}

/**
 * Makes the file, and its tables, where there are none.
 *
 * @throws what the database says; {@link ExecutorError} RECORDS_UNAVAILABLE for a chain of a later version.
 */
export function openDatabase(Libsql: OpenDatabase, file: string, key: ReceiptKey): OpenedDatabase {
  const connection = tryDatabase(Libsql, file, key);
  if (connection !== undefined) return { connection, setAside: undefined };
  // Its key is gone, or its form is an older one: nobody goes on with that chain, and it stays for whoever wants to check it.
  const setAside = `${file}.${Date.now()}.old`;
  renameSync(file, setAside);
  const fresh = tryDatabase(Libsql, file, key);
  if (fresh === undefined)
    throw new ExecutorError("RECORDS_UNAVAILABLE", { reason: "a chain that was set aside is there again" });
  return { connection: fresh, setAside };
}

/** @returns `undefined` for a chain of another key, or of an earlier form. */
function tryDatabase(Libsql: OpenDatabase, file: string, key: ReceiptKey): Database.Database | undefined {
  // What somebody ran is nobody else's to read.
  closeSync(openSync(file, "a", 0o600));
  const connection = new Libsql(file);
  try {
    if (isOf(connection, key)) return connection;
  } catch (error) {
    connection.close();
    throw error;
  }
  letGo(connection);
  return undefined;
}

/**
 * Empties the log beside the file into it, takes the log away and closes the file: it is about to get another name. (What closes
 * libsql's connections for good is the garbage collector, which may come when the log's name is that of another file.)
 */
function letGo(connection: Database.Database): void {
  try {
    connection.pragma("journal_mode = DELETE");
  } catch {
    // Somebody else has it open: whoever looks into it then needs its log as well, which stays where it is.
  } finally {
    connection.close();
  }
}

/** Makes the tables where there are none. @returns whether the chain in it is the key's, and of the form that is written now. */
function isOf(connection: Database.Database, { publicKey }: ReceiptKey): boolean {
  connection.pragma("journal_mode = WAL");
  connection.pragma("synchronous = FULL"); // what was read once must not be gone after a power failure
  connection.pragma("foreign_keys = ON");
  const rows = connection.pragma("user_version") as readonly { readonly user_version: number }[] | undefined;
  const wasWrittenBy = rows?.[0]?.user_version ?? 0;
  if (wasWrittenBy > CHAIN_VERSION) {
    throw new ExecutorError("RECORDS_UNAVAILABLE", { reason: "a later version of Hearth wrote them" });
  }
  if (wasWrittenBy !== 0 && wasWrittenBy < CHAIN_VERSION) return false;
  return transact(connection, () => {
    connection.exec(CHAIN_TABLES);
    // Writing it again would take room, and there may be none.
    if (wasWrittenBy !== CHAIN_VERSION) connection.pragma(`user_version = ${CHAIN_VERSION}`);
    connection.prepare("INSERT INTO chain SELECT ? WHERE NOT EXISTS (SELECT 1 FROM chain)").run(publicKey);
    const owner = connection.prepare("SELECT public_key FROM chain").get() as { public_key: string };
    return owner.public_key === publicKey;
  });
}
