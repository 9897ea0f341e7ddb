import type { AttemptPlace } from "../ports/receipts.ts";
import type { TaskSpec } from "../task/task-spec.ts";

/** What all attempts in one sandbox, or for one task without one, have in common. */
export interface AttemptFacts {
  readonly image: string;
  readonly isolationAsked: string;
  readonly cpuMillis: number;
  readonly gpuMemoryBytes: number;
  readonly memoryBytes: number;
  readonly network: string;
  readonly gpuIds: readonly string[];
  readonly taskKey: string;
  readonly digest: string | undefined;
  readonly isolation: string | undefined;
  readonly sandbox: string | undefined;
}

/** The facts of an attempt, as plain values. */
export function attemptFacts(
  task: TaskSpec,
  taskKey: string,
  place: AttemptPlace | undefined,
  gpuIds: readonly string[],
): AttemptFacts {
  return {
    image: task.image,
    isolationAsked: task.isolation,
    cpuMillis: task.resources.cpuMillis,
    gpuMemoryBytes: task.resources.gpuMemoryBytes,
    memoryBytes: task.resources.memoryBytes,
    network: task.network,
    gpuIds,
    taskKey,
    digest: place?.imageDigest,
    isolation: place?.isolation,
    sandbox: place?.sandboxId,
  };
}
