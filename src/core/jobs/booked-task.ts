/** Every status that a client of 2023 knows (`contracts/executer-tracker.md` 4.3), in the order of a life. */
export type BookedStatus = "pending-input" | "submitted" | "started" | "pending-kill" | BookedEnd;

/** A task never leaves one of these. */
export type BookedEnd =
  | "success"
  | "failed"
  | "killed"
  | "executer-failed"
  | "executer-terminated"
  | "spot-instance-preempted";

/** A task of the web API as its clients may ask for it. Times are texts as events carry them, with microseconds. */
export interface BookedTask {
  readonly id: string;
  readonly method: string;
  readonly executerType: string;
  /** Its folder in the artifact store. */
  readonly taskDir: string;
  /** The hosts that may run it, where not all may. */
  readonly pool: string | undefined;
  readonly status: BookedStatus;
  readonly createTime: string;
  readonly inputTime: string | undefined;
  readonly startTime: string | undefined;
  readonly endTime: string | undefined;
  /** Where its request was put; known only to the API that put it there. */
  readonly entry: { readonly stream: string; readonly entryId: string } | undefined;
  readonly executerId: string | undefined;
  /** Whether somebody who polls has been told that it started: core functions wait for exactly that. */
  readonly hasShownStart: boolean;
  readonly exitCode: number | undefined;
  /** Why it failed or was stopped, if whoever ended it said so. */
  readonly detail: string | undefined;
}

/** What is heard of a task after it was made. */
export type TaskNews =
  | { readonly type: "input"; readonly at: string; readonly entry?: BookedTask["entry"] }
  | { readonly type: "started"; readonly at: string; readonly executerId: string }
  | { readonly type: "start-shown" }
  | { readonly type: "kill-asked" }
  | {
      readonly type: "ended";
      readonly at: string;
      readonly status: BookedEnd;
      readonly exitCode?: number | undefined;
      readonly detail?: string | undefined;
    };

const ORDER: Readonly<Record<BookedStatus, number>> = {
  "pending-input": 0,
  submitted: 1,
  started: 2,
  "pending-kill": 3,
  success: 4,
  failed: 4,
  killed: 4,
  "executer-failed": 4,
  "executer-terminated": 4,
  "spot-instance-preempted": 4,
};

/** Whether a task of this status is over. */
export function isBookedEnd(status: BookedStatus): status is BookedEnd {
  return ORDER[status] === ORDER.success;
}

/**
 * The task after the news. A task only moves on: news that come late fill in what was not known, and never take a status back.
 * What has ended stays as it ended, whoever says what about it.
 */
export function advanceTask(task: BookedTask, news: TaskNews): BookedTask {
  switch (news.type) {
    case "start-shown":
      return { ...task, hasShownStart: true };
    case "input":
      return {
        ...task,
        status: later(task.status, "submitted"),
        inputTime: task.inputTime ?? news.at,
        entry: task.entry ?? news.entry,
      };
    case "started": {
      // A task that was handed back starts again elsewhere: the last start counts.
      const { at: startTime, executerId } = news;
      if (!isBookedEnd(task.status))
        return { ...task, status: later(task.status, "started"), startTime, executerId };
      return { ...task, startTime: task.startTime ?? startTime, executerId: task.executerId ?? executerId };
    }
    case "kill-asked":
      // Whoever asks for that waits for the end, and not for the start.
      return { ...task, status: later(task.status, "pending-kill"), hasShownStart: true };
    case "ended":
      if (isBookedEnd(task.status)) return task;
      return {
        ...task,
        status: news.status,
        endTime: news.at,
        exitCode: news.exitCode,
        detail: news.detail,
      };
  }
}

/**
 * What a poller is told, and whether that told it of the start. A task that ran is shown as `started` once before its end is:
 * the core functions of 2023 wait for exactly that status, and would wait for ever. One whose client asked for its kill is
 * shown as it is.
 */
export function shownStatus(task: BookedTask): {
  readonly status: BookedStatus;
  readonly showsStart: boolean;
} {
  const { status, hasShownStart } = task;
  if (status === "started") return { status, showsStart: true };
  const hasRun = status === "success" || status === "failed" || task.startTime !== undefined;
  if (!isBookedEnd(status) || hasShownStart || !hasRun) return { status, showsStart: false };
  return { status: "started", showsStart: true };
}

function later(now: BookedStatus, news: BookedStatus): BookedStatus {
  return ORDER[news] > ORDER[now] ? news : now;
}
