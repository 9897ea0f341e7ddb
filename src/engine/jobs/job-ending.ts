import type { SandboxEnd, SandboxUsage } from "../../core/index.ts";
import { ExecutorError } from "../../core/index.ts";
import type { JobOver } from "./held-job.ts";
import type { JobEnding, JobStop } from "./jobs.ts";

/** What was seen of a job's end. */
export interface SeenEnd {
  readonly end: SandboxEnd;
  /** Who first asked that it be ended, if anybody did. */
  readonly stop: JobStop | undefined;
  /** Whether that was an earlier life: the driver of this one has sent nothing that may have ended it. */
  readonly wasStopped: boolean;
  readonly usage: SandboxUsage | undefined;
  readonly ranMs: number;
  readonly deadlineMs: number | undefined;
}

/**
 * How a job's command ended. Whoever was asked to end and did so on its own terms (an exit code after a signal that it handles) was
 * ended by us all the same: its driver says so. A stop that came when it had ended already changes nothing about why. Of one that is
 * lost nobody knows more than that it was to be stopped.
 */
export function jobEnding({ end, stop, wasStopped, usage, ranMs, deadlineMs }: SeenEnd): JobEnding {
  const figures = { usage, ranMs };
  const isOurs = end.type === "stopped" || end.type === "lost" || (wasStopped && end.type !== "memory");
  if (stop !== undefined && isOurs) {
    if (stop === "time") return { ...figures, cause: "time", limitMs: deadlineMs ?? ranMs };
    return { ...figures, cause: "stopped", by: stop };
  }
  switch (end.type) {
    case "exited":
      return { ...figures, cause: "exit", exitCode: end.exitCode };
    case "signalled":
      return { ...figures, cause: "signal", signal: end.signal };
    case "memory":
      return { ...figures, cause: "memory", limitBytes: end.limitBytes };
    case "stopped":
      return { ...figures, cause: "infrastructure", reason: "its sandbox was ended by somebody else" };
    case "lost":
      return {
        ...figures,
        cause: "infrastructure",
        reason: "its sandbox was removed by somebody else, or its engine lost it",
      };
  }
}

/** The same for records and metrics. */
export function jobOver(ending: JobEnding): JobOver {
  switch (ending.cause) {
    case "exit":
      return ending.exitCode === 0
        ? { end: "done", error: undefined }
        : { end: "exit", error: new ExecutorError("TASK_EXITED", { exitCode: ending.exitCode }) };
    case "signal":
      return { end: "signal", error: new ExecutorError("TASK_EXITED", { signal: ending.signal }) };
    case "memory":
      return {
        end: "memory",
        error: new ExecutorError("TASK_OUT_OF_MEMORY", { limitBytes: ending.limitBytes }),
      };
    case "time":
      return { end: "time", error: new ExecutorError("RUN_TIMEOUT", { afterMs: ending.limitMs }) };
    case "stopped":
      return { end: ending.by, error: stopError(ending.by) };
    case "infrastructure":
      return { end: "lost", error: new ExecutorError("SANDBOX_LOST", { reason: ending.reason }) };
  }
}

function stopError(by: JobStop): ExecutorError {
  if (by === "drain") return new ExecutorError("DRAINING");
  if (by === "disk") return new ExecutorError("TASK_OUT_OF_DISK");
  const reason = by === "lease" ? "another host may have taken the job over" : "it was killed";
  return new ExecutorError("CALL_CANCELLED", { reason });
}
