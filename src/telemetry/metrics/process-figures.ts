import { readdirSync, readFileSync } from "node:fs";
import type { EventLoopUtilization, IntervalHistogram } from "node:perf_hooks";
import { monitorEventLoopDelay, performance } from "node:perf_hooks";
import type { Readers } from "./registry.ts";
import { single } from "./series.ts";

/** The kernel samples the event loop's delay this often; more often would keep an idle daemon awake. */
const LAG_RESOLUTION_MS = 100;
const NANO = 1e-9;
const MICRO = 1e-6;

type ProcessMetric = Extract<keyof Readers, `process_${string}` | `nodejs_${string}`>;

export interface ProcessFigures extends Disposable {
  readonly readers: Pick<Readers, ProcessMetric>;
}

/**
 * The daemon's own figures under the names that Prometheus users know. Not the library's own collectors: those watch every
 * garbage collection and wake the process a hundred times a second.
 */
export function openProcessFigures(): ProcessFigures {
  const lag = new EventLoopLag();
  const startedAt = performance.timeOrigin / 1000;
  const maxFds = readMaxFds();
  let [cpu, memory] = [process.cpuUsage(), process.memoryUsage()];
  return {
    readers: {
      // The first of several that belong together takes the figures of all: see the order in the table.
      process_cpu_user_seconds_total: () => {
        cpu = process.cpuUsage();
        return single(cpu.user * MICRO);
      },
      process_cpu_system_seconds_total: () => single(cpu.system * MICRO),
      process_cpu_seconds_total: () => single((cpu.user + cpu.system) * MICRO),
      process_start_time_seconds: () => single(startedAt),
      process_resident_memory_bytes: () => {
        memory = process.memoryUsage();
        return single(memory.rss);
      },
      process_open_fds: () => single(countOpenFds()),
      process_max_fds: () => single(maxFds),
      nodejs_version_info: () => [{ value: 1, labels: { version: process.version } }],
      nodejs_active_resources: () => single(process.getActiveResourcesInfo().length),
      nodejs_heap_size_total_bytes: () => single(memory.heapTotal),
      nodejs_heap_size_used_bytes: () => single(memory.heapUsed),
      nodejs_external_memory_bytes: () => single(memory.external),
      nodejs_eventloop_lag_mean_seconds: () => {
        lag.take();
        return single(lag.taken.mean);
      },
      nodejs_eventloop_lag_p50_seconds: () => single(lag.taken.p50),
      nodejs_eventloop_lag_p99_seconds: () => single(lag.taken.p99),
      nodejs_eventloop_lag_max_seconds: () => single(lag.taken.max),
      nodejs_eventloop_utilization_ratio: () => single(lag.taken.utilization),
    },
    [Symbol.dispose]: () => lag[Symbol.dispose](),
  };
}

interface Lag {
  readonly mean: number;
  readonly p50: number;
  readonly p99: number;
  readonly max: number;
  readonly utilization: number;
}

/** How late the event loop was since the figures were last taken. */
class EventLoopLag implements Disposable {
  readonly #delays: IntervalHistogram = monitorEventLoopDelay({ resolution: LAG_RESOLUTION_MS });
  #utilization: EventLoopUtilization = performance.eventLoopUtilization();
  taken: Lag = { mean: 0, p50: 0, p99: 0, max: 0, utilization: 0 };

  constructor() {
    this.#delays.enable();
  }

  take(): void {
    const utilization = performance.eventLoopUtilization();
    this.taken = {
      mean: late(this.#delays.mean),
      p50: late(this.#delays.percentile(50)),
      p99: late(this.#delays.percentile(99)),
      max: late(this.#delays.max),
      utilization: performance.eventLoopUtilization(utilization, this.#utilization).utilization,
    };
    this.#utilization = utilization;
    this.#delays.reset();
  }

  [Symbol.dispose](): void {
    this.#delays.disable();
  }
}

/** What is measured is the whole interval between two turns; only what is beyond the wanted one is lag. */
function late(intervalNanos: number): number {
  // Before the first turn there is no figure.
  if (!Number.isFinite(intervalNanos) || intervalNanos > 1e15) return 0;
  return Math.max(0, intervalNanos * NANO - LAG_RESOLUTION_MS / 1000);
}

function countOpenFds(): number | undefined {
  try {
    return readdirSync("/proc/self/fd").length - 1;
  } catch {
    return undefined;
  }
}

function readMaxFds(): number | undefined {
  try {
    const limit = /^Max open files\s+(\d+)/m.exec(readFileSync("/proc/self/limits", "utf8"))?.[1];
    return limit === undefined ? undefined : Number(limit);
  } catch {
    return undefined;
  }
}
