import type { Amounts, ClassReport, NetworkReport, TaskSpec } from "../core/index.ts";
import { ExecutorError, fits, isolationRefusal, MEBIBYTE, sgxConflict } from "../core/index.ts";

/**
 * Refuses at once what this host can never do, and says what it offers instead. `undefined` when it can. A class whose probe has
 * not ended is let through: its start waits for that.
 */
export function checkTask(
  task: TaskSpec,
  capacity: Amounts,
  reports: readonly ClassReport[],
  networks?: NetworkReport,
): ExecutorError | undefined {
  const offered = reports.filter(({ state }) => state !== "unusable").map(({ isolation }) => isolation);
  const conflict = sgxConflict(task);
  if (conflict !== undefined) return conflict;
  if (task.sgx && !offered.includes("sgx")) return sgxRefusal(offered, reports);
  const asked = task.isolation === "default" ? reports[0]?.isolation : task.isolation;
  if (asked !== undefined && !offered.includes(asked)) return isolationRefusal(asked, reports);
  if (task.network !== "default" && networks !== undefined && !networks.offered.includes(task.network)) {
    const { offered: policies, reasons } = networks;
    return new ExecutorError("NETWORK_UNAVAILABLE", {
      network: task.network,
      offered: policies,
      reason:
        reasons.find((one) => one.startsWith(`${task.network} is`)) ?? reasons[0] ?? "it is not offered",
    });
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
