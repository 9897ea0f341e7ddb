import type { Finding } from "./cli/index.ts";
import type { ClassReport, IsolationClass, LimitKind } from "./core/index.ts";
import { RUNTIME_CLASSES } from "./core/index.ts";

const HOW_TO: Partial<Record<IsolationClass, string>> = {
  gvisor: "docs/isolation/gvisor.md says how to set it up.",
  microVM: "docs/isolation/microvm.md says how to set it up.",
  sgx: "docs/isolation/sgx.md says how to set it up.",
};

const LIMIT_NAMES: Readonly<Record<LimitKind, string>> = { cpu: "CPU", memory: "memory", pids: "processes" };

/** What a driver's probes have shown, a line for each class, in plain words; and what is not configured. */
export function classFindings(reports: readonly ClassReport[]): Finding[] {
  const [first] = reports;
  const told = reports.map((report) => findingOf(report, report === first));
  const isDocker = reports.some(({ isolation }) => isolation === "container");
  const absent = RUNTIME_CLASSES.filter(
    (name) => isDocker && !reports.some(({ isolation }) => isolation === name),
  );
  return [
    ...told,
    ...absent.map((isolation): Finding => {
      const text = `${isolation}: no runtime is configured for it; calls that ask for it are refused`;
      const advice = HOW_TO[isolation];
      return { area: "isolate", state: "missing", text, ...(advice === undefined ? {} : { advice }) };
    }),
  ];
}

function findingOf(report: ClassReport, isDefault: boolean): Finding {
  const { isolation, runtime, state, reasons } = report;
  const name = runtime === undefined ? isolation : `${isolation} (runtime ${runtime})`;
  if (state === "usable") {
    const text = [`${name}: ${seen(report)}`, ...reasons].join("; ");
    return { area: "isolate", state: reasons.length === 0 ? "ok" : "limited", text };
  }
  const why = reasons.length === 0 ? "its probe did not end" : reasons.join("; ");
  const advice = HOW_TO[isolation];
  return {
    area: "isolate",
    state: isDefault ? "broken" : "missing",
    text: `${name}: not usable: ${why}`,
    ...(advice === undefined ? {} : { advice }),
  };
}

function seen({ sight }: ClassReport): string {
  if (sight === undefined) return "usable";
  const held = sight.enforced.map((kind) => LIMIT_NAMES[kind]).join(", ");
  return [
    sight.hasOwnKernel ? `a kernel of its own (${sight.kernel.split(" ")[0] ?? ""})` : "the host's kernel",
    held === "" ? "no limit was seen to hold" : `limits on ${held} hold`,
    ...(sight.hasNoNewPrivileges ? ["a setuid program gains nothing"] : []),
  ].join("; ");
}
