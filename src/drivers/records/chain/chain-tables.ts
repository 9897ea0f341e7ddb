/** Raised with every change of the tables; a file of a later version is refused. */
export const CHAIN_VERSION = 1;

/**
 * One row is one signed block: its entries as text, one per line, and their hashes one after the other. `min_id` to `to_us` only
 * help to find an entry; they are checked against the entries when the chain is.
 */
export const CHAIN_TABLES = `
  CREATE TABLE IF NOT EXISTS blocks (
    first INTEGER PRIMARY KEY,
    last INTEGER NOT NULL,
    prev BLOB NOT NULL,
    head BLOB NOT NULL,
    at_us INTEGER NOT NULL,
    signature BLOB NOT NULL,
    entries BLOB NOT NULL,
    hashes BLOB NOT NULL,
    bytes INTEGER NOT NULL,
    min_id TEXT NOT NULL,
    max_id TEXT NOT NULL,
    to_us INTEGER NOT NULL
  );
  CREATE INDEX IF NOT EXISTS blocks_max_id ON blocks (max_id);
  CREATE TABLE IF NOT EXISTS chain (public_key TEXT NOT NULL);
`;

export interface BlockRow {
  readonly first: number;
  readonly last: number;
  readonly prev: Buffer;
  readonly head: Buffer;
  readonly at_us: number;
  readonly signature: Buffer;
  readonly entries: Buffer;
  readonly hashes: Buffer;
  readonly bytes: number;
  readonly min_id: string;
  readonly max_id: string;
  readonly to_us: number;
}

export const CHAIN_STATEMENTS = {
  insert: "INSERT INTO blocks VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
  newest: "SELECT last, head FROM blocks ORDER BY first DESC LIMIT 1",
  oldest: "SELECT first, last, bytes, to_us FROM blocks ORDER BY first LIMIT 1",
  drop: "DELETE FROM blocks WHERE first = ?",
  totals: "SELECT coalesce(sum(last - first + 1), 0) AS records, coalesce(sum(bytes), 0) AS bytes FROM blocks",
  byId: "SELECT * FROM blocks WHERE min_id <= ? AND max_id >= ? ORDER BY first DESC",
  before: "SELECT first, max_id, to_us FROM blocks WHERE max_id <> '' AND min_id < ? ORDER BY max_id DESC",
  entries: "SELECT entries FROM blocks WHERE first = ?",
  next: "SELECT * FROM blocks WHERE last >= ? AND first > ? AND first <= ? ORDER BY first LIMIT 1",
  following: "SELECT hashes FROM blocks WHERE first = ?",
  key: "SELECT public_key FROM chain LIMIT 1",
  setKey: "INSERT INTO chain VALUES (?)",
} as const;
