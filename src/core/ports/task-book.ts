import type { BookedStatus, BookedTask, TaskNews } from "../jobs/booked-task.ts";

/** A host that runs tasks, as it registered: what the web API tells of it. */
export interface BookedExecuter {
  readonly uuid: string;
  readonly cpuCountLogical: number;
  readonly cpuCountPhysical: number;
  readonly memoryBytes: number;
  readonly hostType: string;
  readonly vmType: string | undefined;
  readonly vmName: string | undefined;
}

/** One thing that changes in the book. */
export type BookChange =
  /** Without effect if the task is there. */
  | { readonly type: "create"; readonly task: BookedTask }
  /** Without effect if the task is not there. */
  | { readonly type: "news"; readonly id: string; readonly news: TaskNews }
  | { readonly type: "executer"; readonly executer: BookedExecuter }
  | { readonly type: "pool"; readonly uuid: string };

/** Which tasks, newest first. */
export interface TaskQuery {
  readonly status?: BookedStatus | undefined;
  readonly skip: number;
  readonly limit: number;
}

/**
 * The tasks of the web API. They outlive its process; how many are kept is bounded, and the oldest that are over go first.
 *
 * @throws {@link ExecutorError} RECORDS_UNAVAILABLE, DISK_FULL.
 */
export interface TaskBook extends AsyncDisposable {
  /**
   * All changes in one step, with the event that they come from: an event is applied once, and after a crash the next one read is
   * the one after the last applied.
   */
  apply(changes: readonly BookChange[], eventId?: string): Promise<void>;
  /** The last event that was applied. */
  lastEvent(): Promise<string | undefined>;
  /** Forgets which event was the last: the stream has begun anew. */
  forgetLastEvent(): Promise<void>;
  task(id: string): Promise<BookedTask | undefined>;
  /** The newest first. */
  tasks(query: TaskQuery): Promise<readonly BookedTask[]>;
  executer(uuid: string): Promise<BookedExecuter | undefined>;
  hasPool(uuid: string): Promise<boolean>;
}
