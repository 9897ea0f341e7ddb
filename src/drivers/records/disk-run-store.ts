import type Database from "libsql";
import type {
  NewRun,
  RunEnd,
  RunEnding,
  RunId,
  RunLimits,
  RunMark,
  RunPlacement,
  RunRecord,
  RunStore,
} from "../../core/index.ts";
import { asId } from "../../core/index.ts";
import type { RunRow } from "./run-tables.ts";
import { STATEMENTS } from "./run-tables.ts";
import { transact } from "./transact.ts";
import { translate } from "./translate-failure.ts";

type Connection = Database.Database;
type Statements = Readonly<Record<keyof typeof STATEMENTS, Database.Statement>>;

/** Nothing ends later. */
const AFTER_ALL: RunMark = { endedAtMs: Number.MAX_SAFE_INTEGER, runId: asId<"run">("") };

/**
 * Runs in one SQLite file. Each method is one transaction on this thread: some tenths of a millisecond, since a commit waits
 * for the disk. Only calls that asked to be recorded come here.
 */
export class DiskRunStore implements RunStore {
  readonly #connection: Connection;
  readonly #limits: RunLimits;
  readonly #nowMs: () => number;
  readonly #sql: Statements;

  /** @param connection with the tables made; the store closes it. */
  constructor(connection: Connection, limits: RunLimits, nowMs: () => number) {
    this.#connection = connection;
    this.#limits = limits;
    this.#nowMs = nowMs;
    this.#sql = Object.fromEntries(
      Object.entries(STATEMENTS).map(([name, sql]) => [name, connection.prepare(sql)]),
    ) as Statements;
  }

  begin(run: NewRun): Promise<RunRecord | undefined> {
    return this.#transact(() => {
      this.#sweep();
      const holder = run.key === undefined ? undefined : this.#row(this.#sql.byKey, run.key);
      if (holder !== undefined) return holder;
      this.#sql.begin.run(run.runId, run.image, run.key ?? null, run.fingerprint, run.createdAtMs);
      return undefined;
    });
  }

  end(runId: RunId, { end, endedAtMs, placement, answer, freesKey }: RunEnding): Promise<void> {
    return this.#transact(() => {
      const where = placement === undefined ? null : JSON.stringify(placement);
      const { changes } = this.#sql.end.run(JSON.stringify(end), endedAtMs, where, freesKey ? 1 : 0, runId);
      if (changes === 0) return;
      if (answer !== undefined) this.#sql.keep.run(runId, answer.length, Buffer.from(answer));
      this.#sweep();
    });
  }

  get(runId: RunId): Promise<RunRecord | undefined> {
    this.#trySweep();
    return this.#transact(() => this.#row(this.#sql.byId, runId));
  }

  answer(runId: RunId): Promise<Uint8Array | undefined> {
    return this.#transact(() => {
      const row = this.#sql.answer.get(runId) as { readonly body: Buffer } | undefined;
      return row?.body;
    });
  }

  running(limit: number): Promise<readonly RunRecord[]> {
    return this.#transact(() => (this.#sql.running.all(limit) as RunRow[]).map(toRecord));
  }

  ended(limit: number, before: RunMark = AFTER_ALL): Promise<readonly RunRecord[]> {
    this.#trySweep();
    return this.#transact(() =>
      (this.#sql.ended.all(before.endedAtMs, before.runId, limit) as RunRow[]).map(toRecord),
    );
  }

  [Symbol.asyncDispose](): Promise<void> {
    if (this.#connection.open) this.#connection.close();
    return Promise.resolve();
  }

  #row(statement: Database.Statement, value: string): RunRecord | undefined {
    const row = statement.get(value) as RunRow | undefined;
    return row === undefined ? undefined : toRecord(row);
  }

  /** Whoever only reads must not need room to write: on a full disk what is too old is seen a little longer. */
  #trySweep(): void {
    try {
      transact(this.#connection, () => this.#sweep());
    } catch {
      // The next write says what is wrong, if it still is.
    }
  }

  #sweep(): void {
    this.#sql.forgetOld.run(this.#nowMs() - this.#limits.ageMs);
    this.#sql.forgetMany.run(this.#limits.runs);
    // Each turn removes one answer, so this ends.
    while ((this.#sql.answerBytes.get() as { readonly bytes: number }).bytes > this.#limits.bytes) {
      this.#sql.dropOldestAnswer.run();
    }
  }

  #transact<T>(work: () => T): Promise<T> {
    try {
      return Promise.resolve(transact(this.#connection, work));
    } catch (error) {
      return Promise.reject(translate(error));
    }
  }
}

function toRecord(row: RunRow): RunRecord {
  const end = row.end === null ? undefined : (JSON.parse(row.end) as RunEnd);
  return {
    runId: asId<"run">(row.run_id),
    image: row.image,
    createdAtMs: row.created_at_ms,
    key: row.key ?? undefined,
    fingerprint: row.fingerprint,
    end: end?.type === "answered" ? { ...end, isKept: row.is_kept === 1 } : end,
    endedAtMs: row.ended_at_ms ?? undefined,
    placement: row.placement === null ? undefined : (JSON.parse(row.placement) as RunPlacement),
  };
}
