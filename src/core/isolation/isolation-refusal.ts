import { ExecutorError } from "../errors.ts";
import type { ClassReport } from "../ports/driver.ts";
import type { IsolationClass } from "../task/isolation.ts";

const NOTHING = "nothing on this host is configured for it";
const NOT_CONFIGURED: Readonly<Record<IsolationClass, string>> = {
  process: NOTHING,
  container: NOTHING,
  gvisor: `${NOTHING}; its operator can name a runtime in runtimes`,
  microVM: `${NOTHING}; its operator can name a runtime in microVM_runtime or runtimes`,
  sgx: `${NOTHING}; its operator can set sgx.enable`,
};

/** The refusal of a class: what was asked for, what is there instead, and why the rest is not. */
export function isolationRefusal(asked: IsolationClass, reports: readonly ClassReport[]): ExecutorError {
  const offered = reports.filter(({ state }) => state !== "unusable").map(({ isolation }) => isolation);
  const mine = reports.find(({ isolation }) => isolation === asked);
  const missing = reports
    // What is the matter with the one that was asked for is the reason itself.
    .filter(({ state, isolation }) => state === "unusable" && isolation !== asked)
    .map(({ isolation, reasons }) => `${isolation}: ${reasons.join("; ")}`);
  const reason = mine === undefined ? NOT_CONFIGURED[asked] : mine.reasons.join("; ");
  return new ExecutorError("ISOLATION_UNAVAILABLE", {
    asked,
    reason,
    offered,
    ...(missing.length === 0 ? {} : { missing }),
  });
}
