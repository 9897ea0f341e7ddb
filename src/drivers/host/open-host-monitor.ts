import { availableParallelism } from "node:os";
import type { Clock, HostCapacity, HostMonitor, HostUsage } from "../../core/index.ts";
import { ExecutorError } from "../../core/index.ts";
import { systemClock } from "../../std/index.ts";
import type { CpuTimes, MemoryFigures } from "./host-figures.ts";
import { cpuPercentBetween, parseAllowedCpus, parseCpuTimes, parseMemory, percent } from "./host-figures.ts";
import type { OwnCgroup, UsageFile } from "./own-cgroup.ts";
import { MEMORY_STAT_BYTES, readOwnCgroup } from "./own-cgroup.ts";
import { openProcFile, ProcFile } from "./proc-file.ts";

/** CPU use is told over the last two to three of these: about a second. */
const SAMPLE_MS = 500;
const SAMPLES = 2;

export interface HostMonitorOptions {
  readonly clock?: Clock;
  /** The two files, for tests with recorded ones. */
  readonly statPath?: string;
  readonly memoryPath?: string;
  readonly cgroup?: OwnCgroup;
  /** CPUs that this process may run on; by default what its affinity mask says. */
  readonly cpuCount?: number;
}

/**
 * Opens the reading of this host. Inside a container with limits, these are the capacity and the use is the container's own.
 * Takes one sample of some 15 us twice a second; dispose it to end that.
 *
 * @throws {@link ExecutorError} ENGINE_UNAVAILABLE on a host without `/proc`.
 */
export function openHostMonitor(options: HostMonitorOptions = {}): HostMonitor & Disposable {
  const { clock = systemClock, cgroup = readOwnCgroup() } = options;
  const cpuCount = options.cpuCount ?? allowedCpus();
  const source = openSource(options, cgroup, cpuCount, clock);
  const { cpu, memory } = source.readFirst();
  const samples: CpuTimes[] = [cpu];
  let last: HostUsage = usageOf(0, memory);
  let cancel = clock.after(SAMPLE_MS, tick);

  function tick(): void {
    cancel = clock.after(SAMPLE_MS, tick);
    const now = source.cpu();
    if (now === undefined) return;
    samples.push(now);
    if (samples.length > SAMPLES + 1) samples.shift();
  }

  return {
    capacity: capacityOf(cpuCount, memory.totalBytes, cgroup),
    usage() {
      const [now, figures] = [source.cpu(), source.memory()];
      const [oldest] = samples;
      const busy = now === undefined || oldest === undefined ? undefined : cpuPercentBetween(oldest, now);
      last = usageOf(busy ?? last.cpuPercent, figures ?? memory);
      return last;
    },
    memoryAvailableBytes: () => (source.memory() ?? memory).availableBytes,
    [Symbol.dispose]() {
      cancel();
      source[Symbol.dispose]();
    },
  };
}

/** The affinity mask. Node's own count of CPUs may round a container's quota, which is looked at on its own here. */
function allowedCpus(): number {
  using status = openProcFile("/proc/self/status", 8192);
  return parseAllowedCpus(status?.read() ?? "") ?? availableParallelism();
}

function usageOf(cpuPercent: number, { totalBytes, availableBytes }: MemoryFigures): HostUsage {
  return {
    cpuPercent,
    memoryPercent: percent(totalBytes - availableBytes, totalBytes),
    memoryAvailableBytes: availableBytes,
  };
}

function capacityOf(cpuCount: number, memoryBytes: number, cgroup: OwnCgroup): HostCapacity {
  return { cpuMillis: Math.min(cpuCount * 1000, cgroup.cpuMillis ?? Number.POSITIVE_INFINITY), memoryBytes };
}

interface Source extends Disposable {
  cpu(): CpuTimes | undefined;
  memory(): MemoryFigures | undefined;
  readFirst(): { readonly cpu: CpuTimes; readonly memory: MemoryFigures };
}

/** Reads the host's figures, or the own cgroup's where that is the narrower of the two. */
function openSource(options: HostMonitorOptions, cgroup: OwnCgroup, cpuCount: number, clock: Clock): Source {
  const stat = open(options.statPath ?? "/proc/stat");
  const meminfo = open(options.memoryPath ?? "/proc/meminfo", 4096);
  const isCpuNarrower = cgroup.cpuMillis !== undefined && cgroup.cpuMillis < cpuCount * 1000;
  const ownCpu = isCpuNarrower ? openUsage(cgroup.cpuUsage) : undefined;
  const ownMemory = openUsage(cgroup.memoryUsage);
  const ownStat = openUsage(cgroup.memoryStat, MEMORY_STAT_BYTES);
  const files = [stat, meminfo, ownCpu?.file, ownMemory?.file, ownStat?.file];

  const cpu = (): CpuTimes | undefined => {
    const busyMs = ownCpu?.read();
    if (busyMs === undefined) return parseCpuTimes(stat.read() ?? "");
    return { busyMs, totalMs: (clock.nowMs() * (cgroup.cpuMillis ?? 0)) / 1000 };
  };
  const memory = (): MemoryFigures | undefined => {
    const host = parseMemory(meminfo.read() ?? "");
    const [limit, used] = [cgroup.memoryBytes, ownMemory?.read()];
    if (host === undefined || limit === undefined || used === undefined || limit >= host.totalBytes)
      return host;
    const free = Math.max(0, limit - Math.max(0, used - (ownStat?.read() ?? 0)));
    return { totalBytes: limit, availableBytes: Math.min(free, host.availableBytes) };
  };
  return {
    cpu,
    memory,
    readFirst() {
      const first = { cpu: cpu(), memory: memory() };
      if (first.cpu === undefined || first.memory === undefined)
        throw new ExecutorError("ENGINE_UNAVAILABLE", {
          reason: "this host's /proc tells neither CPU nor memory",
        });
      return { cpu: first.cpu, memory: first.memory };
    },
    [Symbol.dispose]() {
      for (const file of files) file?.[Symbol.dispose]();
    },
  };
}

function open(path: string, mostBytes?: number): ProcFile {
  try {
    return new ProcFile(path, mostBytes);
  } catch (error) {
    throw new ExecutorError("ENGINE_UNAVAILABLE", { reason: `${path} cannot be read` }, { cause: error });
  }
}

function openUsage(
  usage: UsageFile | undefined,
  mostBytes?: number,
): { readonly file: ProcFile; read(): number | undefined } | undefined {
  const file = usage === undefined ? undefined : openProcFile(usage.path, mostBytes);
  if (usage === undefined || file === undefined) return undefined;
  return {
    file,
    read() {
      const text = file.read();
      return text === undefined ? undefined : usage.parse(text);
    },
  };
}
