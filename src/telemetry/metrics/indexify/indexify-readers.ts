import { INDEXIFY_EVENTS, INDEXIFY_OPERATIONS } from "../../../core/index.ts";
import type { ReadersOf, Sample } from "../registry.ts";
import { single } from "../series.ts";
import type { IndexifyCounters } from "./indexify-counters.ts";
import type { OtherMetric } from "./indexify-table.ts";
import { OPERATIONS } from "./indexify-table.ts";

/** What this executor is, for `executor_info`; the same over its life. */
export interface IndexifyIdentity {
  readonly executorId: string;
  readonly version: string;
  /** Where the code of applications is kept. */
  readonly cacheFolder: string;
  readonly serverAddress: string;
  /** `undefined`: there is no configuration file. */
  readonly configFile: string | undefined;
  readonly hostName: string;
  readonly labels: Readonly<Record<string, string>>;
  /** Those that are allowed; none is all of them. */
  readonly functions: readonly string[];
}

type WorkerState = "starting" | "running" | "stopping" | "terminated";
type Phase = "preparing" | "waiting" | "running" | "finalizing";

/** How the door is now. */
export interface IndexifyFigures {
  readonly state: "starting" | "running" | "shutting_down";
  /** Whether the last heartbeat came through. */
  readonly isHealthy: boolean;
  readonly wanted: { readonly containers: number; readonly allocations: number };
  /** What each worker is at. */
  readonly workers: readonly WorkerState[];
  readonly allocations: readonly {
    readonly functionName: string;
    readonly phase: Phase;
  }[];
}

/** What is shown of the Indexify door: what it counted, and how it is now. */
export interface ShownIndexify {
  readonly counters: IndexifyCounters;
  readonly identity: IndexifyIdentity;
  figures(): IndexifyFigures;
}

/** Reads every metric of `INDEXIFY_METRICS`. */
export function indexifyReaders(shown: ShownIndexify): ReadersOf<string> {
  const { counters } = shown;
  const readers: Record<string, () => readonly Sample[]> = { ...otherReaders(shown) };
  for (const event of INDEXIFY_EVENTS) readers[`${event}_total`] = () => single(counters.event(event));
  for (const name of INDEXIFY_OPERATIONS) {
    const count = counters.operation(name);
    const { counter, hasErrors } = OPERATIONS[name];
    if (counter !== undefined) readers[counter] = () => single(count.done);
    if (hasErrors) readers[`${name}_errors_total`] = () => single(count.failed);
    const latency = `${name}_latency_seconds`;
    readers[latency] = () => count.latency.samples(latency);
  }
  return readers;
}

function otherReaders({ counters, identity, figures }: ShownIndexify): ReadersOf<OtherMetric> {
  const inPhase = (phase: Phase) => () =>
    single(figures().allocations.filter((one) => one.phase === phase).length);
  return {
    python_info: runtime,
    executor_info: () => [{ value: 1, labels: infoLabels(identity) }],
    cli_info: () => [{ value: 1, labels: { package: "indexify" } }],
    executor_state: () => {
      const { state } = figures();
      return (["starting", "running", "shutting_down"] as const).map((one) => ({
        value: one === state ? 1 : 0,
        labels: { executor_state: one },
      }));
    },
    healthy: () => single(figures().isHealthy ? 1 : 0),
    // No such collector is known to this door.
    executor_events_pushed_total: () => single(0),
    executor_event_push_errors_total: () => single(0),
    last_desired_state_allocations: () => single(figures().wanted.allocations),
    last_desired_state_function_executors: () => single(figures().wanted.containers),
    function_executors_count: () =>
      single(figures().workers.filter((state) => state !== "terminated").length),
    function_executors_with_state: () => workerStates(figures()),
    function_executor_infos_total: () => counters.versions(),
    allocations_fetched_total: () => single(counters.fetched),
    allocations_getting_prepared: inPhase("preparing"),
    runnable_allocations: inPhase("waiting"),
    runnable_allocations_per_function_name: () => waitingByFunction(counters, figures()),
    allocation_runs_in_progress: inPhase("running"),
    allocations_finalizing: inPhase("finalizing"),
    allocations_completed_total: () => counters.completed(),
    allocation_completion_latency_seconds: () =>
      counters.completion.samples("allocation_completion_latency_seconds"),
    function_call_message_size_mb: () =>
      counters.sizes.function_call.samples("function_call_message_size_mb"),
    state_report_message_size_mb: () => counters.sizes.state_report.samples("state_report_message_size_mb"),
  };
}

function runtime(): Sample[] {
  const { version } = process;
  const [major = "", minor = "", patchlevel = ""] = version.slice(1).split(".");
  return [
    {
      value: 1,
      labels: { implementation: "Node.js", major, minor, patchlevel, version: version.slice(1) },
    },
  ];
}

function infoLabels(identity: IndexifyIdentity): Record<string, string> {
  const { executorId, version, cacheFolder, serverAddress, configFile, hostName, labels, functions } =
    identity;
  return {
    id: executorId,
    version,
    cache_path: cacheFolder,
    grpc_server_addr: serverAddress,
    config_path: configFile ?? "None",
    hostname: hostName,
    ...Object.fromEntries(Object.entries(labels).map(([key, value]) => [labelName(`label_${key}`), value])),
    ...Object.fromEntries(functions.map((name, index) => [`function_allowlist_${index}`, name])),
  };
}

/** A label's name in the exposition has letters, digits and underscores only. */
function labelName(name: string): string {
  return name.replaceAll(/\W/g, "_");
}

function workerStates({ workers }: IndexifyFigures): Sample[] {
  const count = (state: WorkerState): number => workers.filter((one) => one === state).length;
  const rows = [
    ["unknown", 0],
    // One that is wanted is started at once.
    ["not_started", 0],
    ["starting_up", count("starting")],
    ["running", count("running")],
    ["terminating", count("stopping")],
    ["terminated", count("terminated")],
  ] as const;
  return rows.map(([state, value]) => ({ value, labels: { state } }));
}

function waitingByFunction({ functions }: IndexifyCounters, { allocations }: IndexifyFigures): Sample[] {
  const waiting = new Map<string, number>([...functions].map((name) => [name, 0]));
  for (const { functionName, phase } of allocations) {
    const count = waiting.get(functionName);
    if (phase === "waiting" && count !== undefined) waiting.set(functionName, count + 1);
  }
  return [...waiting].map(([name, value]) => ({ value, labels: { function_name: name } }));
}
