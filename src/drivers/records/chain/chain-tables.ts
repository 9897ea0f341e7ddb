/** Raised with every change of the tables; a file of a later version is refused, and one of an earlier one set aside. */
export const CHAIN_VERSION = 2;

/**
 * One row of `blocks` is one signed block: the text of its entries (`BlockBody`), the hash before it and its own. `min_id` to
 * `to_us` only help to find an entry. Ids that do not sort by time have a row of their own in `other_ids`.
 */
export const CHAIN_TABLES = `
  CREATE TABLE IF NOT EXISTS blocks (
    first INTEGER PRIMARY KEY,
    last INTEGER NOT NULL,
    prev BLOB NOT NULL,
    head BLOB NOT NULL,
    at_us INTEGER NOT NULL,
    signature BLOB NOT NULL,
    text BLOB NOT NULL,
    bytes INTEGER NOT NULL,
    min_id TEXT NOT NULL,
    max_id TEXT NOT NULL,
    from_us INTEGER NOT NULL,
    to_us INTEGER NOT NULL
  );
  CREATE INDEX IF NOT EXISTS blocks_ids ON blocks (max_id, min_id);
  CREATE TABLE IF NOT EXISTS other_ids (
    id TEXT NOT NULL,
    first INTEGER NOT NULL REFERENCES blocks (first) ON DELETE CASCADE,
    PRIMARY KEY (id, first)
  ) WITHOUT ROWID;
  CREATE INDEX IF NOT EXISTS other_ids_first ON other_ids (first);
  CREATE TABLE IF NOT EXISTS chain (public_key TEXT NOT NULL);
`;

/** What `SELECT *` gives for a block. */
export interface BlockRow {
  readonly first: number;
  readonly last: number;
  readonly prev: Buffer;
  readonly head: Buffer;
  readonly at_us: number;
  readonly signature: Buffer;
  readonly text: Buffer;
  readonly bytes: number;
  readonly min_id: string;
  readonly max_id: string;
  readonly from_us: number;
  readonly to_us: number;
}

export const CHAIN_STATEMENTS = {
  insert: "INSERT INTO blocks VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
  addId: "INSERT OR IGNORE INTO other_ids VALUES (?, ?)",
  newest: "SELECT * FROM blocks ORDER BY first DESC LIMIT 1",
  oldest: "SELECT first, last, head, bytes, to_us FROM blocks ORDER BY first LIMIT 1",
  drop: "DELETE FROM blocks WHERE first = ?",
  totals:
    "SELECT coalesce(sum(last - first + 1), 0) AS records, coalesce(sum(bytes), 0) AS bytes FROM blocks",
  byId: "SELECT first FROM blocks WHERE min_id <= ? AND max_id >= ? ORDER BY first DESC",
  byOtherId: "SELECT first FROM other_ids WHERE id = ? ORDER BY first DESC LIMIT 1",
  before: "SELECT first, from_us, to_us FROM blocks WHERE first < ? ORDER BY first DESC LIMIT ?",
  block: "SELECT * FROM blocks WHERE first = ?",
  text: "SELECT text FROM blocks WHERE first = ?",
  next: "SELECT * FROM blocks WHERE last >= ? AND first <= ? ORDER BY first LIMIT 1",
} as const;
