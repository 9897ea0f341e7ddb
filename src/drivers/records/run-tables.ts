/** Raised with every change of the tables; a file of a later version is refused, of an earlier one upgraded. */
export const TABLES_VERSION = 1;

export const TABLES = `
  CREATE TABLE IF NOT EXISTS runs (
    run_id TEXT PRIMARY KEY,
    image TEXT NOT NULL,
    key TEXT UNIQUE,
    fingerprint TEXT NOT NULL,
    created_at_ms INTEGER NOT NULL,
    ended_at_ms INTEGER,
    end TEXT,
    placement TEXT
  );
  CREATE INDEX IF NOT EXISTS runs_ended ON runs (ended_at_ms);
  CREATE TABLE IF NOT EXISTS answers (
    run_id TEXT PRIMARY KEY REFERENCES runs (run_id) ON DELETE CASCADE,
    bytes INTEGER NOT NULL,
    body BLOB NOT NULL
  );
`;

/** What `SELECT *` gives for a run. */
export interface RunRow {
  readonly run_id: string;
  readonly image: string;
  readonly key: string | null;
  readonly fingerprint: string;
  readonly created_at_ms: number;
  readonly ended_at_ms: number | null;
  readonly end: string | null;
  readonly placement: string | null;
  /** Whether the answer is there; it may have been dropped since `end` was written. */
  readonly is_kept: number;
}

export const SELECT_RUN =
  "SELECT runs.*, EXISTS (SELECT 1 FROM answers WHERE answers.run_id = runs.run_id) AS is_kept FROM runs";

export const STATEMENTS = {
  byId: `${SELECT_RUN} WHERE run_id = ?`,
  byKey: `${SELECT_RUN} WHERE key = ?`,
  running: `${SELECT_RUN} WHERE end IS NULL ORDER BY created_at_ms DESC, run_id DESC LIMIT ?`,
  ended: `${SELECT_RUN} WHERE ended_at_ms IS NOT NULL AND (ended_at_ms, run_id) < (?, ?)
        ORDER BY ended_at_ms DESC, run_id DESC LIMIT ?`,
  begin: "INSERT INTO runs (run_id, image, key, fingerprint, created_at_ms) VALUES (?, ?, ?, ?, ?)",
  end: `UPDATE runs SET end = ?, ended_at_ms = ?, placement = ?, key = CASE WHEN ? THEN NULL ELSE key END
        WHERE run_id = ? AND end IS NULL`,
  keep: "INSERT INTO answers (run_id, bytes, body) VALUES (?, ?, ?)",
  answer: "SELECT body FROM answers WHERE run_id = ?",
  lose: "UPDATE runs SET end = ?, ended_at_ms = ? WHERE end IS NULL",
  forgetOld: "DELETE FROM runs WHERE ended_at_ms < ?",
  forgetMany: `DELETE FROM runs WHERE run_id IN (
        SELECT run_id FROM runs WHERE end IS NOT NULL ORDER BY (key IS NOT NULL), ended_at_ms
        LIMIT max(0, (SELECT count(*) FROM runs) - ?))`,
  answerBytes: "SELECT coalesce(sum(bytes), 0) AS bytes FROM answers",
  dropOldestAnswer: `DELETE FROM answers WHERE run_id = (
        SELECT answers.run_id FROM answers JOIN runs USING (run_id) ORDER BY ended_at_ms, run_id LIMIT 1)`,
} as const;
