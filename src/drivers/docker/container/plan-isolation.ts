import type { IsolationClass, TaskSpec } from "../../../core/index.ts";
import { ExecutorError, MEBIBYTE } from "../../../core/index.ts";
import { MIN_CPU_MILLIS, MIN_MEMORY_BYTES } from "./body.ts";

/** The classes this driver reaches so far; runtimes for `gvisor`, `microVM` and `sgx` add theirs here. */
export const REACHED_CLASSES: readonly IsolationClass[] = ["container"];

/**
 * Decides in which class a task runs: never a weaker one than it asks for.
 *
 * @throws {@link ExecutorError} SGX_UNAVAILABLE, GPU_UNAVAILABLE, ISOLATION_UNAVAILABLE; INPUT_INVALID that names `mem` or
 * `cpu` below what engines accept.
 */
export function planIsolation({ isolation, sgx, resources }: TaskSpec): IsolationClass {
  if (sgx || isolation === "sgx") {
    throw new ExecutorError("SGX_UNAVAILABLE", { reason: "the docker driver does not offer SGX" });
  }
  if (resources.gpuCount > 0) {
    const reason = "the docker driver does not offer GPUs";
    throw new ExecutorError("GPU_UNAVAILABLE", { reason, gpuCount: resources.gpuCount });
  }
  // A process class is a floor that a container is above.
  if (isolation !== "default" && isolation !== "process" && !REACHED_CLASSES.includes(isolation)) {
    throw new ExecutorError("ISOLATION_UNAVAILABLE", { isolation, offered: REACHED_CLASSES });
  }
  if (resources.memoryBytes < MIN_MEMORY_BYTES) {
    const reason = `mem must be at least ${MIN_MEMORY_BYTES / MEBIBYTE} MB for a container`;
    throw new ExecutorError("INPUT_INVALID", { field: "mem", reason });
  }
  // To an engine none means all of them.
  if (resources.cpuMillis < MIN_CPU_MILLIS) {
    const reason = `cpu must be at least ${MIN_CPU_MILLIS / 1000} for a container`;
    throw new ExecutorError("INPUT_INVALID", { field: "cpu", reason });
  }
  return "container";
}
