import { constants } from "node:os";
import type { TerminationReason } from "../../contract/executer-tracker/index.ts";
import { eventOf, formatTimestamp } from "../../contract/executer-tracker/index.ts";
import type { JobEvent } from "../../core/index.ts";
import { assertNever, ExecutorError } from "../../core/index.ts";
import type { JobEnding, JobStop } from "../../engine/jobs/jobs.ts";

/** How a job is over for those who wait for it. */
export interface Verdict {
  readonly status: "success" | "failed" | "killed" | "terminated";
  /** A sentence; `undefined` when there is nothing to say. */
  readonly detail: string | undefined;
  readonly exitCode: number | undefined;
  readonly isOutOfMemory: boolean;
}

/** An event is read by people too. */
const DETAIL_LENGTH = 300;
const SUCCESS: Verdict = { status: "success", detail: undefined, exitCode: 0, isOutOfMemory: false };

export function failed(detail: string): Verdict {
  return { status: "failed", detail, exitCode: undefined, isOutOfMemory: false };
}

/** The end of a job that was killed before its command ran. */
export const KILLED: Verdict = { ...failed("it was killed on request"), status: "killed" };

/**
 * What the end of a command means. A job that was killed is that, whatever its command made of it.
 *
 * @param diskBytes what it might have written.
 */
export function verdictOf(ending: JobEnding, isKilled: boolean, diskBytes?: number): Verdict {
  const own = ownVerdict(ending, diskBytes);
  return isKilled ? { ...own, status: "killed", detail: "it was killed on request" } : own;
}

function ownVerdict(ending: JobEnding, diskBytes: number | undefined): Verdict {
  switch (ending.cause) {
    case "exit":
      if (ending.exitCode === 0) return SUCCESS;
      return { ...failed(`its command ended with exit code ${ending.exitCode}`), exitCode: ending.exitCode };
    case "signal":
      return { ...failed(`its command was ended by ${ending.signal}`), exitCode: codeOf(ending.signal) };
    case "memory":
      return {
        ...failed(`it used more than its ${ending.limitBytes} bytes of memory`),
        exitCode: 137,
        isOutOfMemory: true,
      };
    case "time":
      return failed(`it ran longer than its ${ending.limitMs / 1000} seconds`);
    case "stopped":
      return stoppedVerdict(ending.by, diskBytes);
    case "infrastructure":
      return failed(`its host lost it: ${ending.reason}`);
    default:
      return assertNever(ending);
  }
}

function stoppedVerdict(by: JobStop, diskBytes: number | undefined): Verdict {
  if (by === "killed") return { ...failed("it was killed on request"), status: "killed" };
  if (by === "disk") return failed(`it wrote more than its ${diskBytes ?? 0} bytes of disk`);
  if (by === "time") return failed("it ran longer than it was allowed to");
  return { ...failed("its host had to stop"), status: "terminated" };
}

/** As shells and engines write the end by a signal. */
function codeOf(signal: string): number | undefined {
  const number = constants.signals[signal as NodeJS.Signals] as number | undefined;
  return number === undefined ? undefined : 128 + number;
}

/** What a failure of ours says to those who wait for the job: never what only its operator should read. */
export function reasonOf(thrown: unknown): string {
  const error = ExecutorError.from(thrown);
  return error.message;
}

/** Who says it. */
export interface Speaker {
  readonly executerId: string;
  readonly host: string;
  readonly attempt: number;
  readonly wallMs: number;
}

export function startedEvent(id: string, { executerId, host, attempt, wallMs }: Speaker): JobEvent {
  return eventOf("TaskStarted", {
    timestamp: formatTimestamp(wallMs),
    id,
    status: "started",
    executer_id: executerId,
    attempt,
    host,
  });
}

/** Why the daemon ends. */
export interface Termination {
  readonly reason: TerminationReason;
  /** What failed, where the reason is `error`. */
  readonly detail: string | null;
}

/** The daemon ends by a failure of its own. */
export function failedBy(thrown: unknown): Termination {
  return { reason: "error", detail: reasonOf(thrown).slice(0, DETAIL_LENGTH) };
}

export function terminatedEvent(
  { reason, detail }: Termination,
  { executerId, wallMs }: Pick<Speaker, "executerId" | "wallMs">,
  stopped: readonly string[],
): JobEvent {
  return eventOf("ExecuterTerminated", {
    timestamp: formatTimestamp(wallMs),
    uuid: executerId,
    reason,
    detail,
    stopped_tasks: [...stopped],
  });
}

/** The one event that ends a task. */
export function endEvent(id: string, verdict: Verdict, speaker: Speaker, termination: Termination): JobEvent {
  const timestamp = formatTimestamp(speaker.wallMs);
  const more = {
    detail: verdict.detail ?? null,
    exit_code: verdict.exitCode ?? null,
    oom: verdict.isOutOfMemory,
    attempt: speaker.attempt,
    host: speaker.host,
  };
  switch (verdict.status) {
    case "killed":
      return eventOf("TaskKilled", { timestamp, id, status: "killed", ...more });
    case "terminated":
      return terminatedEvent(termination, speaker, [id]);
    default:
      return eventOf("TaskCompleted", { timestamp, id, status: verdict.status, ...more });
  }
}
