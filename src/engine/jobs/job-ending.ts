import type { SandboxEnd, SandboxUsage } from "../../core/index.ts";
import type { JobEnding, JobStop } from "./jobs.ts";

/** What was seen of a job's end. */
export interface SeenEnd {
  readonly end: SandboxEnd;
  /** Who ended it, if we did. */
  readonly stop: JobStop | undefined;
  readonly usage: SandboxUsage | undefined;
  readonly ranMs: number;
  readonly deadlineMs: number | undefined;
}

/**
 * How a job's command ended. Whoever was asked to end and did so on its own terms (an exit code after a signal that it handles) was
 * ended by us all the same: the first cause counts.
 */
export function jobEnding({ end, stop, usage, ranMs, deadlineMs }: SeenEnd): JobEnding {
  const figures = { usage, ranMs };
  if (stop === "time") return { ...figures, cause: "time", limitMs: deadlineMs ?? ranMs };
  if (stop !== undefined) return { ...figures, cause: "stopped", by: stop };
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
