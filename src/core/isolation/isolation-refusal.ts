import { ExecutorError } from "../errors.ts";
import type { ClassReport } from "../ports/driver.ts";
import type { IsolationClass } from "../task/isolation.ts";

/** The refusal of a class: what was asked for, what is there instead, and why the rest is not. */
export function isolationRefusal(asked: IsolationClass, reports: readonly ClassReport[]): ExecutorError {
  const offered = reports.filter(({ state }) => state !== "unusable").map(({ isolation }) => isolation);
  const mine = reports.find(({ isolation }) => isolation === asked);
  const missing = reports
    .filter(({ state }) => state === "unusable")
    .map(({ isolation, reasons }) => `${isolation}: ${reasons.join("; ")}`);
  const reason = mine === undefined ? "nothing on this host is configured for it" : mine.reasons.join("; ");
  return new ExecutorError("ISOLATION_UNAVAILABLE", {
    asked,
    reason,
    offered,
    ...(missing.length === 0 ? {} : { missing }),
  });
}
