import type { Pressure } from "../../telemetry/metrics/index.ts";
import { openProcFile } from "./proc-file.ts";

const RESOURCES = ["cpu", "memory", "io"] as const satisfies readonly Pressure["resource"][];
/** As in the kernel's `Documentation/accounting/psi.rst`. */
const LINE = /^(some|full) .*\btotal=(\d+)$/gm;

export interface PressureMonitor extends Disposable {
  /** Empty where the kernel does not tell; some 20 us where it does. */
  read(): readonly Pressure[];
}

/** Opens the reading of `/proc/pressure`. Never throws: many kernels have it switched off. */
export function openPressure(folder = "/proc/pressure"): PressureMonitor {
  const files = RESOURCES.flatMap((resource) => {
    const file = openProcFile(`${folder}/${resource}`);
    return file === undefined ? [] : [{ resource, file }];
  });
  return {
    read: () => files.flatMap(({ resource, file }) => parsePressure(resource, file.read() ?? "")),
    [Symbol.dispose]() {
      for (const { file } of files) file[Symbol.dispose]();
    },
  };
}

function parsePressure(resource: Pressure["resource"], text: string): Pressure[] {
  return [...text.matchAll(LINE)].map(([, stall, micros]) => ({
    resource,
    stall: stall === "full" ? "full" : "some",
    stalledSeconds: Number(micros) / 1e6,
  }));
}
