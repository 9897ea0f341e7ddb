import { readFileSync } from "node:fs";

/** What the kernel has counted for a cgroup. */
export interface CgroupCounters {
  readonly cpuUs: number;
  /** `undefined` where the kernel does not keep it. */
  readonly peakBytes: number | undefined;
}

/** The counters of the cgroup that a process is in, found by the kernel's own word; versions 1 and 2. */
export function countersOf(pid: number): CgroupCounters {
  const lines = readFileSync(`/proc/${pid}/cgroup`, "utf8").trim().split("\n");
  const pathOf = (controller: string): string | undefined =>
    lines.map((line) => line.split(":")).find(([, names]) => names?.split(",").includes(controller))?.[2];
  const cpuacct = pathOf("cpuacct");
  if (cpuacct !== undefined) {
    const memory = `/sys/fs/cgroup/memory${pathOf("memory") ?? ""}`;
    return {
      cpuUs: numberIn(`/sys/fs/cgroup/cpuacct${cpuacct}/cpuacct.usage`) / 1000,
      peakBytes: numberIn(`${memory}/memory.max_usage_in_bytes`),
    };
  }
  const folder = `/sys/fs/cgroup${pathOf("") ?? ""}`;
  const usage = /^usage_usec (\d+)$/m.exec(readFileSync(`${folder}/cpu.stat`, "utf8"))?.[1];
  return { cpuUs: Number(usage), peakBytes: maybe(() => numberIn(`${folder}/memory.peak`)) };
}

function numberIn(file: string): number {
  return Number(readFileSync(file, "utf8").trim());
}

function maybe(read: () => number): number | undefined {
  try {
    return read();
  } catch {
    return undefined; // Kernels before 5.19 do not keep it.
  }
}
