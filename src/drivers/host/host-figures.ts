/** CPU time since boot, of all CPUs together. */
export interface CpuTimes {
  readonly busyMs: number;
  readonly totalMs: number;
}

export interface MemoryFigures {
  readonly totalBytes: number;
  /** What a new program could take without swapping: free memory and what the kernel would give back. */
  readonly availableBytes: number;
}

/** `USER_HZ`, which Linux fixes at 100 for all that it shows to programs. */
const TICK_MS = 10;

/** The first line of `/proc/stat`. Waiting for a disk is idle time. @see proc(5). */
export function parseCpuTimes(text: string): CpuTimes | undefined {
  const fields = /^cpu +([\d ]+)/.exec(text)?.[1]?.trim().split(/ +/).map(Number) ?? [];
  const [user, nice, system, idle, iowait = 0, irq = 0, softirq = 0, steal = 0] = fields;
  if (user === undefined || nice === undefined || system === undefined || idle === undefined)
    return undefined;
  // Guest time, which follows, is part of user time already.
  const busyMs = (user + nice + system + irq + softirq + steal) * TICK_MS;
  return { busyMs, totalMs: busyMs + (idle + iowait) * TICK_MS };
}

/** `/proc/meminfo`. Kernels before 3.14 do not know what is available; then it is what is free. */
export function parseMemory(text: string): MemoryFigures | undefined {
  const bytes = (name: string): number | undefined => {
    const [, kilobytes] = new RegExp(`^${name}: +(\\d+) kB`, "m").exec(text) ?? [];
    return kilobytes === undefined ? undefined : Number(kilobytes) * 1024;
  };
  const totalBytes = bytes("MemTotal");
  const availableBytes = bytes("MemAvailable") ?? bytes("MemFree");
  if (totalBytes === undefined || availableBytes === undefined) return undefined;
  return { totalBytes, availableBytes };
}

/** Share of the CPU in use between two samples, 0 to 100; `undefined` when no time lies between them. */
export function cpuPercentBetween(before: CpuTimes, after: CpuTimes): number | undefined {
  const totalMs = after.totalMs - before.totalMs;
  return totalMs <= 0 ? undefined : percent(after.busyMs - before.busyMs, totalMs);
}

export function percent(part: number, whole: number): number {
  return whole <= 0 ? 0 : Math.min(100, Math.max(0, (100 * part) / whole));
}

/** How many CPUs a process may run on, from its `/proc/PID/status`. */
export function parseAllowedCpus(status: string): number | undefined {
  const [, list] = /^Cpus_allowed_list:\s*([\d,-]+)$/m.exec(status) ?? [];
  if (list === undefined) return undefined;
  return list.split(",").reduce((count, range) => {
    const [first = 0, last = first] = range.split("-").map(Number);
    return count + last - first + 1;
  }, 0);
}
