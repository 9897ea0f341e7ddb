import type { DriverCapabilities, Resources, TaskSpec } from "../core/index.ts";
import { ExecutorError, fits, MEBIBYTE, shortages } from "../core/index.ts";

/** Refuses at once what this host can never do, and says what it offers instead. `undefined` when it can. */
export function checkTask(
  task: TaskSpec,
  capacity: Resources,
  capabilities: DriverCapabilities,
): ExecutorError | undefined {
  const offered = capabilities.isolation;
  if (task.sgx && !offered.includes("sgx")) return new ExecutorError("SGX_UNAVAILABLE", { offered });
  if (task.isolation !== "default" && !offered.includes(task.isolation)) {
    return new ExecutorError("ISOLATION_UNAVAILABLE", { asked: task.isolation, offered });
  }
  if (task.resources.gpuCount > capacity.gpuCount) {
    return new ExecutorError("GPU_UNAVAILABLE", {
      field: "gpu_count",
      asked: task.resources.gpuCount,
      offered: capacity.gpuCount,
    });
  }
  if (fits(task.resources, capacity)) return undefined;
  const [field] = shortages(task.resources, capacity);
  return field === "cpu"
    ? new ExecutorError("RESOURCES_EXCEED_LIMIT", {
        field: "resource.cpu",
        asked: task.resources.cpuMillis / 1000,
        limit: capacity.cpuMillis / 1000,
      })
    : new ExecutorError("RESOURCES_EXCEED_LIMIT", {
        field: "resource.mem",
        asked: task.resources.memoryBytes / MEBIBYTE,
        limit: Math.floor(capacity.memoryBytes / MEBIBYTE),
      });
}
