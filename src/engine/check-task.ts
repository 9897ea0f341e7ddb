import type { Amounts, ClassReport, DriverCapabilities, TaskSpec } from "../core/index.ts";
import { ExecutorError, fits, MEBIBYTE, sgxConflict } from "../core/index.ts";

/** Refuses at once what this host can never do, and says what it offers instead. `undefined` when it can. */
export function checkTask(
  task: TaskSpec,
  capacity: Amounts,
  capabilities: DriverCapabilities,
  reports: readonly ClassReport[] = [],
): ExecutorError | undefined {
  const offered = capabilities.isolation;
  const conflict = sgxConflict(task);
  if (conflict !== undefined) return conflict;
  if (task.sgx && !offered.includes("sgx")) return sgxRefusal(offered, reports);
  if (task.isolation !== "default" && !offered.includes(task.isolation)) {
    return new ExecutorError("ISOLATION_UNAVAILABLE", { asked: task.isolation, offered });
  }
  if (fits(task.resources, capacity)) return undefined;
  return task.resources.cpuMillis > capacity.cpuMillis
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

function sgxRefusal(offered: readonly string[], reports: readonly ClassReport[]): ExecutorError {
  const reasons = reports.find(({ isolation }) => isolation === "sgx")?.reasons ?? [];
  const reason = reasons.length === 0 ? "its driver has no SGX" : reasons.join("; ");
  return new ExecutorError("SGX_UNAVAILABLE", { reason, offered });
}
