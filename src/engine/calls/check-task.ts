import type { Amounts, ClassReport, NetworkReport, TaskSpec } from "../../core/index.ts";
import { ExecutorError, fits, isolationRefusal, MEBIBYTE, sgxConflict } from "../../core/index.ts";

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
  return (
    classRefusal(task, reports) ?? networkRefusal(task, networks) ?? sizeRefusal(task.resources, capacity)
  );
}

function classRefusal(task: TaskSpec, reports: readonly ClassReport[]): ExecutorError | undefined {
  const conflict = sgxConflict(task);
  if (conflict !== undefined) return conflict;
  const offered = reports.filter(({ state }) => state !== "unusable").map(({ isolation }) => isolation);
  if (task.sgx && !offered.includes("sgx")) return sgxRefusal(offered, reports);
  const asked = task.isolation === "default" ? reports[0]?.isolation : task.isolation;
  return asked === undefined || offered.includes(asked) ? undefined : isolationRefusal(asked, reports);
}

/** Also for calls that ask for nothing: a default that is not on offer here fails before an image is pulled for it. */
function networkRefusal({ network }: TaskSpec, report: NetworkReport | undefined): ExecutorError | undefined {
  const policy = network === "default" ? report?.default : network;
  if (policy === undefined || report === undefined || report.offered.includes(policy)) return undefined;
  const { offered, reasons } = report;
  const reason = reasons.find((one) => one.startsWith(`${policy} is`)) ?? reasons[0] ?? "it is not offered";
  return new ExecutorError("NETWORK_UNAVAILABLE", { network: policy, offered, reason });
}

function sizeRefusal(wish: Amounts, capacity: Amounts): ExecutorError | undefined {
  if (fits(wish, capacity)) return undefined;
  return wish.cpuMillis > capacity.cpuMillis
    ? new ExecutorError("RESOURCES_EXCEED_LIMIT", {
        field: "resource.cpu",
        asked: wish.cpuMillis / 1000,
        limit: capacity.cpuMillis / 1000,
      })
    : new ExecutorError("RESOURCES_EXCEED_LIMIT", {
        field: "resource.mem",
        asked: wish.memoryBytes / MEBIBYTE,
        limit: Math.floor(capacity.memoryBytes / MEBIBYTE),
      });
}

function sgxRefusal(offered: readonly string[], reports: readonly ClassReport[]): ExecutorError {
  const reasons = reports.find(({ isolation }) => isolation === "sgx")?.reasons ?? [];
  const reason = reasons.length === 0 ? "its driver has no SGX" : reasons.join("; ");
  return new ExecutorError("SGX_UNAVAILABLE", { reason, offered });
}
