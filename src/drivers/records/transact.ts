import type Database from "libsql";

/**
 * One transaction, all or nothing. Unlike the library's own it tells the true cause of a failure: SQLite ends a transaction by
 * itself when the disk is full, and the library's rolling back then fails and hides that.
 *
 * @throws what `work` throws, or the database at the end.
 */
export function transact<T>(connection: Database.Database, work: () => T): T {
  connection.exec("BEGIN");
  try {
    const result = work();
    connection.exec("COMMIT");
    return result;
  } catch (error) {
    if (connection.inTransaction) connection.exec("ROLLBACK");
    throw error;
  }
}
