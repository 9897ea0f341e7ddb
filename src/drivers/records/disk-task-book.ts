import type Database from "libsql";
import type { BookChange, BookedExecuter, BookedTask, TaskBook, TaskQuery } from "../../core/index.ts";
import { advanceTask, isBookedEnd } from "../../core/index.ts";
import type { BookLimits } from "./open-task-book.ts";
import { TASK_STATEMENTS } from "./task-tables.ts";
import { transact } from "./transact.ts";
import { translate } from "./translate-failure.ts";

/** Rows are counted and removed once in this many new ones. */
const SWEEP_EVERY = 256;

/** Tasks in one SQLite file. Each method is one transaction on this thread. */
export class DiskTaskBook implements TaskBook {
  readonly #connection: Database.Database;
  readonly #limits: BookLimits;
  readonly #sql: Readonly<Record<keyof typeof TASK_STATEMENTS, Database.Statement>>;
  #newSinceSweep = SWEEP_EVERY;

  /** @param connection with the tables made; the book closes it. */
  constructor(connection: Database.Database, limits: BookLimits) {
    this.#connection = connection;
    this.#limits = limits;
    this.#sql = Object.fromEntries(
      Object.entries(TASK_STATEMENTS).map(([name, sql]) => [name, connection.prepare(sql)]),
    ) as Record<keyof typeof TASK_STATEMENTS, Database.Statement>;
  }

  apply(changes: readonly BookChange[], eventId?: string): Promise<void> {
    return this.#transact(() => {
      for (const change of changes) this.#apply(change);
      if (eventId !== undefined) this.#sql.follow.run(eventId);
      this.#sweep();
    });
  }

  lastEvent(): Promise<string | undefined> {
    return this.#transact(
      () => (this.#sql.lastEvent.get() as { readonly event_id: string } | undefined)?.event_id,
    );
  }

  forgetLastEvent(): Promise<void> {
    return this.#transact(() => {
      this.#sql.forgetLastEvent.run();
    });
  }

  task(id: string): Promise<BookedTask | undefined> {
    return this.#transact(() => this.#task(id));
  }

  tasks({ status, skip, limit }: TaskQuery): Promise<readonly BookedTask[]> {
    return this.#transact(() => {
      const rows =
        status === undefined
          ? this.#sql.newest.all(limit, skip)
          : this.#sql.newestOf.all(status, limit, skip);
      return (rows as TaskRow[]).map(toTask);
    });
  }

  executer(uuid: string): Promise<BookedExecuter | undefined> {
    return this.#transact(() => {
      const row = this.#sql.executer.get(uuid) as { readonly executer: string } | undefined;
      return row === undefined ? undefined : (JSON.parse(row.executer) as BookedExecuter);
    });
  }

  hasPool(uuid: string): Promise<boolean> {
    return this.#transact(() => this.#sql.pool.get(uuid) !== undefined);
  }

  [Symbol.asyncDispose](): Promise<void> {
    if (this.#connection.open) this.#connection.close();
    return Promise.resolve();
  }

  #apply(change: BookChange): void {
    switch (change.type) {
      case "create":
        this.#create(change.task);
        break;
      case "news": {
        const task = this.#task(change.id);
        if (task !== undefined) this.#change(advanceTask(task, change.news));
        break;
      }
      case "executer":
        this.#sql.addExecuter.run(change.executer.uuid, JSON.stringify(change.executer));
        this.#newSinceSweep += 1;
        break;
      case "pool":
        this.#sql.addPool.run(change.uuid);
        this.#newSinceSweep += 1;
        break;
    }
  }

  #create(task: BookedTask): void {
    this.#sql.create.run(task.id, task.status, isBookedEnd(task.status) ? 1 : 0, JSON.stringify(task));
    this.#newSinceSweep += 1;
  }

  #change(task: BookedTask): void {
    this.#sql.change.run(task.status, isBookedEnd(task.status) ? 1 : 0, JSON.stringify(task), task.id);
  }

  #task(id: string): BookedTask | undefined {
    const row = this.#sql.task.get(id) as TaskRow | undefined;
    return row === undefined ? undefined : toTask(row);
  }

  #sweep(): void {
    if (this.#newSinceSweep < SWEEP_EVERY) return;
    this.#newSinceSweep = 0;
    this.#sql.forgetTasks.run(this.#limits.tasks);
    this.#sql.forgetExecuters.run(this.#limits.executers);
    this.#sql.forgetPools.run(this.#limits.pools);
  }

  #transact<T>(work: () => T): Promise<T> {
    try {
      return Promise.resolve(transact(this.#connection, work));
    } catch (error) {
      return Promise.reject(translate(error));
    }
  }
}

interface TaskRow {
  readonly task: string;
}

/** JSON leaves out what is undefined; the type wants it named. */
const NOTHING_KNOWN = {
  pool: undefined,
  inputTime: undefined,
  startTime: undefined,
  endTime: undefined,
  entry: undefined,
  executerId: undefined,
  exitCode: undefined,
  detail: undefined,
} as const;

function toTask({ task }: TaskRow): BookedTask {
  return { ...NOTHING_KNOWN, ...(JSON.parse(task) as BookedTask) };
}
