import type { ErrorCode, IsolationClass, Resources } from "../../core/index.ts";
import { DOOR_NAMES, ERRORS, ISOLATION_CLASSES, JOB_STATES } from "../../core/index.ts";
import type { EngineCounters } from "./engine-counters.ts";
import type { ShownIndexify } from "./indexify/indexify-readers.ts";
import { indexifyReaders } from "./indexify/indexify-readers.ts";
import { INDEXIFY_METRICS } from "./indexify/indexify-table.ts";
import { openProcessFigures } from "./process-figures.ts";
import { queueReaders } from "./queue-readers.ts";
import type { MetricsText, Readers, Sample } from "./registry.ts";
import { joinReaders, openRegistry } from "./registry.ts";
import { single } from "./series.ts";
import type { ExecutorFigures, MetricSources, ShownQueue } from "./sources.ts";
import { SANDBOX_STATES } from "./sources.ts";
import { METRICS, QUEUE_METRICS } from "./table.ts";

const CODES = Object.keys(ERRORS) as ErrorCode[];
const STATES = ["running", "pausing", "paused", "draining"] as const;

/** The daemon's metrics. Dispose them to stop the sampling of the event loop. */
export interface Metrics extends MetricsText, Disposable {}

/** The doors that bring metrics of their own. Of one that is not used none are shown at all. */
export interface ShownDoors {
  readonly queue?: ShownQueue | undefined;
  readonly indexify?: ShownIndexify | undefined;
}

/** Puts together what was counted and what is read. There is one of these in a daemon. */
export function openMetrics(
  counters: EngineCounters,
  given: MetricSources,
  { queue, indexify }: ShownDoors = {},
): Metrics {
  const process = openProcessFigures();
  // One look at the executor for each time that somebody asks: it reads the host's files.
  let figures: ExecutorFigures | undefined;
  const sources: MetricSources = {
    ...given,
    executor: () => {
      figures ??= given.executor();
      return figures;
    },
  };
  const readers: Readers = {
    ...process.readers,
    ...countedReaders(counters),
    ...executorReaders(sources),
    ...hostReaders(sources),
    ...doorReaders(sources),
    ...receiptReaders(sources),
  };
  const registry = openRegistry([
    ...joinReaders(METRICS, readers),
    ...(queue === undefined ? [] : joinReaders(QUEUE_METRICS, queueReaders(queue))),
    ...(indexify === undefined ? [] : joinReaders(INDEXIFY_METRICS, indexifyReaders(indexify))),
  ]);
  return {
    contentType: registry.contentType,
    text: async () => {
      figures = undefined;
      return await registry.text();
    },
    [Symbol.dispose]: () => process[Symbol.dispose](),
  };
}

type Counted = Extract<
  keyof Readers,
  | `hearth_call_${string}`
  | "hearth_calls_total"
  | "hearth_jobs_ended_total"
  | `hearth_job_${string}`
  | "hearth_start_phase_duration_seconds"
  | `hearth_sandbox_${string}`
  | `hearth_engine_${"calls_total" | "errors_total" | "call_duration_seconds"}`
>;

function countedReaders(counters: EngineCounters): Pick<Readers, Counted> {
  return {
    hearth_calls_total: () => counters.calls(),
    hearth_call_errors_total: () => counters.callErrors.samples(),
    hearth_call_starts_total: () => counters.callStarts.samples(),
    hearth_call_duration_seconds: () => counters.callDurations.samples(),
    hearth_call_queue_duration_seconds: () => counters.queueDurations.samples(),
    hearth_call_request_bytes_total: () => counters.requestBytes(),
    hearth_call_answer_bytes_total: () => counters.answerBytes(),
    hearth_jobs_ended_total: () => counters.jobs(),
    hearth_job_duration_seconds: () => counters.jobDurations.samples(),
    hearth_job_start_duration_seconds: () => counters.jobStarts.samples(),
    hearth_start_phase_duration_seconds: () => counters.phases.samples(),
    hearth_sandbox_starts_total: () => counters.starts.samples(),
    hearth_sandbox_start_errors_total: () => counters.startErrors.samples(),
    hearth_sandbox_restarts_total: () => single(counters.restarts),
    hearth_sandbox_stops_total: () => counters.stops.samples(),
    hearth_sandbox_freezes_total: () => single(counters.freezes),
    hearth_sandbox_thaws_total: () => single(counters.thaws),
    hearth_engine_calls_total: () => counters.engineCalls.samples(),
    hearth_engine_errors_total: () => counters.engineErrors.samples(),
    hearth_engine_call_duration_seconds: () => counters.engineDurations.samples(),
  };
}

type OfExecutor = Extract<
  keyof Readers,
  | "hearth_build_info"
  | "hearth_state"
  | "hearth_calls_running"
  | "hearth_queue_length"
  | "hearth_jobs"
  | "hearth_jobs_waiting"
  | "hearth_sandboxes"
  | `hearth_capacity_${string}`
  | `hearth_reserved_${string}`
  | "hearth_engine_up"
  | "hearth_isolation_usable"
>;

function executorReaders(sources: MetricSources): Pick<Readers, OfExecutor> {
  const view = (): ReturnType<MetricSources["executor"]> => sources.executor();
  return {
    hearth_build_info: () => [
      {
        value: 1,
        labels: { version: sources.version, node_version: process.version, driver: view().driver },
      },
    ],
    hearth_state: () => {
      const { state } = view();
      return STATES.map((one) => ({ value: one === state ? 1 : 0, labels: { state: one } }));
    },
    hearth_calls_running: () => single(view().running),
    hearth_queue_length: () => single(view().waiting),
    hearth_jobs: () =>
      JOB_STATES.filter((state) => state !== "gone").map((state) => ({
        value: view().jobs.byState[state] ?? 0,
        labels: { state },
      })),
    hearth_jobs_waiting: () => single(view().jobs.waiting),
    hearth_sandboxes: () => countSandboxes(sources),
    hearth_capacity_cpu_cores: () => single(view().capacity.cpuMillis / 1000),
    hearth_capacity_memory_bytes: () => single(view().capacity.memoryBytes),
    hearth_capacity_gpus: () => single(view().capacity.gpuCount),
    hearth_reserved_cpu_cores: () => byDoor(sources, ({ cpuMillis }) => cpuMillis / 1000),
    hearth_reserved_memory_bytes: () => byDoor(sources, ({ memoryBytes }) => memoryBytes),
    hearth_reserved_gpus: () => byDoor(sources, ({ gpuCount }) => gpuCount),
    hearth_engine_up: () => single(sources.isEngineUp() ? 1 : 0),
    hearth_isolation_usable: () => {
      const usable = new Set(view().capabilities.isolation);
      return ISOLATION_CLASSES.map((isolation) => ({
        value: usable.has(isolation) ? 1 : 0,
        labels: { isolation },
      }));
    },
  };
}

type OfDoors =
  | "hearth_calls_refused_total"
  | "hearth_sessions"
  | `hearth_http_connections${"" | "_refused_total"}`
  | "hearth_trace_exports_total";

function doorReaders({ sessions, http, traceExports }: MetricSources): Pick<Readers, OfDoors> {
  return {
    hearth_calls_refused_total: () => {
      const { refusedCalls } = http();
      return CODES.map((code) => ({ value: refusedCalls.get(code) ?? 0, labels: { code } }));
    },
    hearth_sessions: () => {
      const all = sessions();
      const holds = all.filter(({ sessionId }) => sessionId === undefined).length;
      return [
        { value: all.length - holds, labels: { kind: "session" } },
        { value: holds, labels: { kind: "hold" } },
      ];
    },
    hearth_http_connections: () => single(http().open),
    hearth_http_connections_refused_total: () => single(http().refused),
    hearth_trace_exports_total: () => {
      const { ok, failed } = traceExports() ?? { ok: 0, failed: 0 };
      return [
        { value: ok, labels: { result: "ok" } },
        { value: failed, labels: { result: "failed" } },
      ];
    },
  };
}

type OfHost = Extract<keyof Readers, `hearth_host_${string}` | `hearth_gpu_${string}`>;

function hostReaders(sources: MetricSources): Pick<Readers, OfHost> {
  const gpus = (of: (gpu: ReturnType<MetricSources["gpus"]>[number]) => number) => (): Sample[] =>
    sources.gpus().map((gpu) => ({ value: of(gpu), labels: { gpu: gpu.index } }));
  return {
    hearth_host_cpu_cores: () => single(sources.executor().host.cpuMillis / 1000),
    hearth_host_cpu_used_ratio: () => single(sources.executor().usage.cpuPercent / 100),
    hearth_host_memory_bytes: () => single(sources.executor().host.memoryBytes),
    hearth_host_memory_available_bytes: () => single(sources.executor().usage.memoryAvailableBytes),
    hearth_host_disk_bytes: () => single(sources.disk()?.totalBytes),
    hearth_host_disk_available_bytes: () => single(sources.disk()?.availableBytes),
    hearth_host_pressure_stalled_seconds_total: () =>
      sources.pressure().map(({ resource, stall, stalledSeconds }) => ({
        value: stalledSeconds,
        labels: { resource, stall },
      })),
    hearth_gpu_healthy: gpus(({ health }) => (health.isHealthy ? 1 : 0)),
    hearth_gpu_memory_bytes: gpus(({ memoryBytes }) => memoryBytes),
    hearth_gpu_memory_used_bytes: gpus(({ memoryUsedBytes }) => memoryUsedBytes),
    hearth_gpu_compute_ratio: gpus(({ computePercent }) => computePercent / 100),
  };
}

function receiptReaders(
  sources: MetricSources,
): Pick<Readers, Extract<keyof Readers, `hearth_receipts_${string}`>> {
  return {
    hearth_receipts_written_total: () => single(sources.receipts().written),
    hearth_receipts_lost_total: () => single(sources.receipts().lost),
    hearth_receipts_counted_total: () => single(sources.receipts().counted),
    hearth_receipts_pending: () => single(sources.receipts().pending),
    hearth_receipts_up: () => single(sources.receipts().fault === undefined ? 1 : 0),
  };
}

function byDoor(sources: MetricSources, of: (held: Resources) => number): Sample[] {
  const { reservedByDoor } = sources.executor();
  return DOOR_NAMES.map((door) => ({ value: of(reservedByDoor[door]), labels: { door } }));
}

/** A sandbox that starts has reached no class yet. */
function countSandboxes(sources: MetricSources): Sample[] {
  const counts = new Map<string, number>();
  const keyOf = (state: string, isolation: IsolationClass | undefined): string =>
    `${state} ${isolation ?? "none"}`;
  for (const { tier, isolation } of sources.sandboxes()) {
    const key = keyOf(tier, isolation);
    counts.set(key, (counts.get(key) ?? 0) + 1);
  }
  return SANDBOX_STATES.flatMap((state) =>
    [...ISOLATION_CLASSES, undefined].map((isolation) => ({
      value: counts.get(keyOf(state, isolation)) ?? 0,
      labels: { state, isolation: isolation ?? "none" },
    })),
  );
}
