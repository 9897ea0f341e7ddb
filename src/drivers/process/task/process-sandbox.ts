import type { Sandbox, SandboxSpec, StartPhases } from "../../../core/index.ts";
import { followLog } from "../output/follow-log.ts";
import type { SpawnedTask } from "./spawn-task.ts";

export interface HowItCameUp {
  readonly phases: StartPhases;
  readonly warnings: readonly string[];
}

/** The port's view of a task that is ready. */
export function processSandbox(
  spec: SandboxSpec,
  spawned: SpawnedTask,
  { phases, warnings }: HowItCameUp,
): Sandbox {
  const { launched, running, endpoint } = spawned;
  return {
    id: spec.sandboxId,
    taskKey: spec.taskKey,
    task: spec.task,
    imageDigest: spec.image.digest,
    label: `process ${launched.leader}`,
    isolation: "process",
    endpoint,
    phases,
    warnings,
    ended: running.ended,
    async freeze(signal) {
      signal.throwIfAborted();
      await running.freeze(signal);
    },
    async thaw(signal) {
      signal.throwIfAborted();
      await running.thaw(signal);
    },
    stop: (graceMs) => running.stop(graceMs),
    async usage(signal) {
      signal.throwIfAborted();
      return running.usage();
    },
    async tailLog(maxBytes, signal) {
      signal.throwIfAborted();
      return launched.ring.tail(maxBytes);
    },
    followLog: (tailBytes, signal) => followLog(launched.ring, tailBytes, signal),
  };
}
