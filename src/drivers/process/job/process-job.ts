import { constants } from "node:os";
import type { JobSandbox, JobSandboxSpec, SandboxEnd } from "../../../core/index.ts";
import { followLog } from "../output/follow-log.ts";
import type { LaunchedTask } from "../task/launch.ts";
import type { RunningTask } from "../task/running-task.ts";

export interface StartedJob {
  readonly launched: LaunchedTask;
  readonly running: RunningTask;
  readonly startedAtMs: number;
  /** Called once, when none of it runs any more; its end is told after that. Never rejects. */
  tidy(): Promise<unknown>;
}

/** How long a dead job's output may take to be read. */
const DRAIN_DEADLINE_MS = 1000;
const SIGNAL_BASE = 128;

/** The port's view of a job whose command has begun. */
export function processJob(
  spec: Pick<JobSandbox, "mark" | "task" | "imageDigest" | "gpuIds"> & Pick<JobSandboxSpec, "sandboxId">,
  { launched, running, startedAtMs, tidy }: StartedJob,
): JobSandbox {
  const ended = running.ended.then(async (end) => {
    await drainedSoon(launched);
    await tidy();
    return toJobEnd(end);
  });
  return {
    id: spec.sandboxId,
    mark: spec.mark,
    task: spec.task,
    imageDigest: spec.imageDigest,
    label: `process ${launched.leader}`,
    isolation: "process",
    gpuIds: spec.gpuIds,
    startedAtMs,
    ended,
    async end(graceMs) {
      await running.end(graceMs);
      await ended;
    },
    async remove() {
      await running.stop(0);
      await ended;
    },
    async usage(signal) {
      signal.throwIfAborted();
      return running.lastUsage();
    },
    async tailLog(maxBytes, signal) {
      signal.throwIfAborted();
      return launched.ring.tail(maxBytes);
    },
    followLog: (tailBytes, signal) => followLog(launched.ring, tailBytes, signal),
  };
}

/** A process that got away could hold the other end of its output open. */
async function drainedSoon({ drained, closeOutput }: LaunchedTask): Promise<void> {
  const escalate = setTimeout(closeOutput, DRAIN_DEADLINE_MS);
  await drained.finally(() => clearTimeout(escalate));
}

/** A code above 128 that names a signal is told as that signal, as shells, bubblewrap and engines do. */
function toJobEnd(end: SandboxEnd): SandboxEnd {
  if (end.type !== "exited" || end.exitCode <= SIGNAL_BASE) return end;
  const signal = Object.entries(constants.signals).find(
    ([, number]) => number === end.exitCode - SIGNAL_BASE,
  )?.[0];
  return signal === undefined ? end : { type: "signalled", signal };
}
