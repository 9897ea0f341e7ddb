import type { TaskKey } from "../ids.ts";
import { asId } from "../ids.ts";
import type { TaskSpec } from "./task-spec.ts";

/**
 * The identity of a task as asked. Two calls with one key may meet the same warm sandbox; with different keys they never do.
 * The resolved image digest is the one further part: it is kept on each sandbox, because a caller does not know it.
 */
export function taskKey(task: TaskSpec): TaskKey {
  const { cpuMillis, memoryBytes, gpuCount, gpuMemoryBytes } = task.resources;
  // The image comes last: it is the only free text, so no two different tasks can print the same.
  return asId<"taskKey">(
    `${task.isolation}|${cpuMillis}|${memoryBytes}|${gpuCount}x${gpuMemoryBytes}|${task.sgx ? "sgx" : "plain"}|${task.network}|${task.image}`,
  );
}
