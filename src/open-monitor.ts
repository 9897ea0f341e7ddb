/** What shows the daemon to those who watch: the metrics, and the door that serves them. */
import { fileURLToPath } from "node:url";
import type { Config, Loaded } from "./config/index.ts";
import type { GpuMonitor, HostDisk, Log, ReceiptLog } from "./core/index.ts";
import type { HttpDoor } from "./doors/http/open-http-door.ts";
import type { IndexifyDoor } from "./doors/indexify/open-indexify-door.ts";
import { openDashboard } from "./doors/monitor/dashboard.ts";
import type { MonitorParts } from "./doors/monitor/door-options.ts";
import { watchEngine } from "./doors/monitor/engine-watch.ts";
import type { MonitorDoor } from "./doors/monitor/open-monitor-door.ts";
import { openMonitorDoor } from "./doors/monitor/open-monitor-door.ts";
import { ProvenClasses } from "./doors/monitor/proven-classes.ts";
import type { StreamDoor } from "./doors/stream/open-stream-door.ts";
import { openDiskSpace } from "./drivers/host/disk-space.ts";
import { openPressure } from "./drivers/host/pressure.ts";
import type { Executor } from "./engine/executor.ts";
import type { Scope } from "./std/index.ts";
import { systemClock } from "./std/index.ts";
import type { EngineCounters } from "./telemetry/metrics/index.ts";
import { openMetrics } from "./telemetry/metrics/open-metrics.ts";
import type { Traces } from "./telemetry/traces/index.ts";

/** Beside the bundle, as it is shipped; sources that run without having been built have no page. */
const DASHBOARD = fileURLToPath(new URL("dashboard/", import.meta.url));

/**
 * Opens the monitor door, with the page.
 *
 * @throws as `openMonitorDoor` does.
 */
export async function openMonitor({ monitor }: Config, log: Log): Promise<MonitorDoor> {
  return await openMonitorDoor({ ...monitor, log, dashboard: openDashboard(DASHBOARD) });
}

/** What is shown: every part that has something to tell. */
export interface ShownParts {
  readonly executor: Executor;
  readonly gpus: GpuMonitor;
  /** `undefined` where the file system does not tell. */
  readonly hostDisk: HostDisk | undefined;
  readonly counters: EngineCounters;
  /** `undefined`: no traces are sent. */
  readonly traceExports: Traces["exports"] | undefined;
  readonly door: HttpDoor;
  /** Where it takes jobs from, if it takes any. */
  readonly stream: StreamDoor | undefined;
  /** Where it is an Indexify server's executor, if it is one. */
  readonly indexify: IndexifyDoor | undefined;
  readonly receipts: ReceiptLog;
  readonly ownerId: string;
  readonly version: string;
}

/** From now on the monitor door tells everything. What it needs for that belongs to the scope. */
export function showDaemon(monitor: MonitorDoor, parts: ShownParts, { config }: Loaded, scope: Scope): void {
  const { executor, gpus, hostDisk, counters, traceExports, door, stream, indexify, receipts } = parts;
  const { ownerId, version } = parts;
  const nowMs = (): number => systemClock.nowMs();
  const engine = watchEngine((signal) => executor.health(signal), nowMs);
  const pressure = scope.use(openPressure());
  const metrics = scope.use(
    openMetrics(
      counters,
      {
        version,
        executor: () => executor.view(),
        sandboxes: () => executor.sandboxes(),
        gpus: () => gpus.readings(),
        disk: openDiskSpace(config.state_dir, nowMs),
        pressure: () => pressure.read(),
        receipts: () => receipts.state(),
        sessions: () => executor.sessions(),
        http: () => door.counts(),
        traceExports: () => traceExports,
        isEngineUp: () => engine.last.isHealthy,
      },
      { queue: stream, indexify: indexify?.metrics },
    ),
  );
  monitor.open({
    executor,
    engine,
    metrics,
    proven: new ProvenClasses(),
    hostDisk,
    identity: {
      executorId: indexify?.executorId ?? ownerId,
      ownerId,
      version,
      // Our image says so itself.
      environment: process.env["HEARTH_IN_CONTAINER"] === "1" ? "container" : "host",
    },
    doors: () => doorStates(parts),
    server: indexify,
    wallMs: () => systemClock.wallMs(),
  });
}

function doorStates({ door, stream, indexify }: ShownParts): ReturnType<MonitorParts["doors"]> {
  return [
    { name: "http", trouble: door.isOpen ? undefined : "it is closed", fetchesWork: false },
    ...(stream === undefined ? [] : [{ name: "stream", trouble: stream.trouble, fetchesWork: true }]),
    ...(indexify === undefined ? [] : [{ name: "indexify", trouble: indexify.trouble, fetchesWork: true }]),
  ];
}
