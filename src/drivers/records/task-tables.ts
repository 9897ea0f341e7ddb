/** Raised with every change of the tables; a file of a later version is refused. */
export const TASK_TABLES_VERSION = 1;

/** `position` orders tasks as they were made, also those of one microsecond. */
export const TASK_TABLES = `
  CREATE TABLE IF NOT EXISTS tasks (
    position INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    status TEXT NOT NULL,
    is_over INTEGER NOT NULL,
    task TEXT NOT NULL
  );
  CREATE INDEX IF NOT EXISTS tasks_status ON tasks (status, position);
  CREATE INDEX IF NOT EXISTS tasks_over ON tasks (is_over, position);
  CREATE TABLE IF NOT EXISTS executers (
    position INTEGER PRIMARY KEY AUTOINCREMENT,
    uuid TEXT NOT NULL UNIQUE,
    executer TEXT NOT NULL
  );
  CREATE TABLE IF NOT EXISTS pools (
    position INTEGER PRIMARY KEY AUTOINCREMENT,
    uuid TEXT NOT NULL UNIQUE
  );
  CREATE TABLE IF NOT EXISTS followed (only_row INTEGER PRIMARY KEY CHECK (only_row = 1), event_id TEXT NOT NULL);
`;

export const TASK_STATEMENTS = {
  task: "SELECT task FROM tasks WHERE id = ?",
  newest: "SELECT task FROM tasks ORDER BY position DESC LIMIT ? OFFSET ?",
  newestOf: "SELECT task FROM tasks WHERE status = ? ORDER BY position DESC LIMIT ? OFFSET ?",
  create: "INSERT INTO tasks (id, status, is_over, task) VALUES (?, ?, ?, ?) ON CONFLICT (id) DO NOTHING",
  change: "UPDATE tasks SET status = ?, is_over = ?, task = ? WHERE id = ?",
  // Those that are over go first; but a client that makes tasks and never fills them must not make the file grow either.
  forgetTasks: `DELETE FROM tasks WHERE position IN (
        SELECT position FROM tasks ORDER BY is_over DESC, position
        LIMIT max(0, (SELECT count(*) FROM tasks) - ?))`,
  executer: "SELECT executer FROM executers WHERE uuid = ?",
  addExecuter: "INSERT INTO executers (uuid, executer) VALUES (?, ?) ON CONFLICT (uuid) DO NOTHING",
  forgetExecuters: `DELETE FROM executers WHERE position <= (SELECT max(position) FROM executers) - ?`,
  pool: "SELECT uuid FROM pools WHERE uuid = ?",
  addPool: "INSERT INTO pools (uuid) VALUES (?) ON CONFLICT (uuid) DO NOTHING",
  forgetPools: "DELETE FROM pools WHERE position <= (SELECT max(position) FROM pools) - ?",
  lastEvent: "SELECT event_id FROM followed",
  follow: `INSERT INTO followed (only_row, event_id) VALUES (1, ?)
        ON CONFLICT (only_row) DO UPDATE SET event_id = excluded.event_id`,
  forgetLastEvent: "DELETE FROM followed",
} as const;
