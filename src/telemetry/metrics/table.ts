/** What a metric is. A `counter` only grows; a `gauge` is what it is now; a `histogram` counts durations by bucket. */
export interface MetricRow {
  readonly type: "counter" | "gauge" | "histogram";
  /** One sentence, as `# HELP` and in `docs/metrics.md`. */
  readonly help: string;
  readonly labels: readonly string[];
  /** Upper bounds in seconds, of a histogram; `+Inf` comes by itself. */
  readonly buckets?: readonly number[];
}

/** From what a warm call takes to what a long one may. */
const CALL_BUCKETS = [
  0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 900,
];
/** From a step that is only looked up to a pull over a slow line. */
const START_BUCKETS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 600];
/** From a command that does next to nothing to a day. */
const JOB_BUCKETS = [0.1, 0.5, 1, 5, 10, 30, 60, 300, 900, 1800, 3600, 7200, 14_400, 28_800, 86_400];

/**
 * Every metric of the daemon: the one source of the exposition and of `docs/metrics.md`. Names have base units; no label ever
 * holds an id or the name of an image, so that their number is known beforehand.
 */
export const METRICS = {
  hearth_build_info: gauge("What runs; always 1.", ["version", "node_version", "driver"]),
  hearth_state: gauge("1 for the state that the executor is in, 0 for the others.", ["state"]),

  hearth_calls_total: counter(
    "Calls that have ended, by the class that they reached (`none`: they reached no sandbox).",
    ["door", "isolation", "outcome"],
  ),
  hearth_call_errors_total: counter("Calls that failed, by error code.", ["code"]),
  hearth_calls_refused_total: counter(
    "Calls that never were one: their request, or who sent it, was turned away at the door, by error code.",
    ["code"],
  ),
  hearth_call_starts_total: counter("Calls that got a slot, by what they had to wait for; `warm` is a hit.", [
    "start",
  ]),
  hearth_call_duration_seconds: histogram("From a call's acceptance to its end.", CALL_BUCKETS, ["start"]),
  hearth_call_queue_duration_seconds: histogram(
    "From a call's acceptance to its slot, of calls that had to wait; the start of their sandbox included.",
    START_BUCKETS,
    ["start"],
  ),
  hearth_call_request_bytes_total: counter("Bytes of requests that went to tasks.", ["door"]),
  hearth_call_answer_bytes_total: counter("Bytes of answers that came from tasks.", ["door"]),
  hearth_calls_running: gauge("Calls that run now.", []),
  hearth_queue_length: gauge("Calls that wait now.", []),
  hearth_sessions: gauge(
    "Sessions that keep a sandbox for their caller, and holds that keep one for whoever calls next.",
    ["kind"],
  ),
  hearth_http_connections: gauge("Connections to the HTTP door that are open.", []),
  hearth_http_connections_refused_total: counter(
    "Connections to the HTTP door that were ended at once, since there were too many, of all or of one address.",
    [],
  ),
  hearth_trace_exports_total: counter("Requests to the collector of traces; none without a collector.", [
    "result",
  ]),

  hearth_jobs_ended_total: counter(
    "Jobs that are over, by how: `done` is an exit code of 0, `exit` another one, `lost` that nobody knows; `unstarted`: it could not be started, `unused`: its room was given back before its start.",
    ["door", "cause"],
  ),
  hearth_job_duration_seconds: histogram(
    "How long the commands of jobs ran; of those that never ran, how long they were tried.",
    JOB_BUCKETS,
    ["cause"],
  ),
  hearth_job_start_duration_seconds: histogram(
    "Where the time before a job's command goes, beside its files: waiting for room, its image, its start.",
    START_BUCKETS,
    ["phase"],
  ),
  hearth_jobs: gauge("Jobs that hold room now, by what they are at.", ["state"]),
  hearth_jobs_waiting: gauge("Jobs that wait for room now, or for the end of a pause.", []),

  hearth_receipts_written_total: counter("Attempts that are in the chain of receipts.", []),
  hearth_receipts_lost_total: counter(
    "Attempts that ended and could not be recorded; the chain says how many.",
    [],
  ),
  hearth_receipts_counted_total: counter(
    "Refusals that were counted in the chain, not recorded one by one.",
    [],
  ),
  hearth_receipts_pending: gauge("Attempts that are on their way into the chain.", []),
  hearth_receipts_up: gauge("Whether receipts can be written: 0 after a failure, until one succeeds.", []),

  hearth_start_phase_duration_seconds: histogram(
    "Where the time of cold starts goes. `resolve`: the image was here; `pull`: it was fetched; `admit`: waiting for room; `first_byte`: from the request to its answer's head, of calls that waited for the start.",
    START_BUCKETS,
    ["phase"],
  ),
  hearth_sandbox_starts_total: counter(
    "Starts of sandboxes; `refused`: there is no such image or task, `unwanted`: given up because nobody waited any more.",
    ["result"],
  ),
  hearth_sandbox_start_errors_total: counter("Starts that failed, by error code.", ["code"]),
  hearth_sandbox_restarts_total: counter("Sandboxes started for a task whose last one died or failed.", []),
  hearth_sandbox_stops_total: counter("Sandboxes that ended, by cause.", ["cause"]),
  hearth_sandbox_freezes_total: counter("Idle sandboxes that were frozen to lend their CPU.", []),
  hearth_sandbox_thaws_total: counter("Frozen sandboxes that were woken.", []),
  hearth_sandboxes: gauge("Sandboxes there are now.", ["state", "isolation"]),

  hearth_capacity_cpu_cores: gauge("Cores that all tasks together may hold.", []),
  hearth_capacity_memory_bytes: gauge("Memory that all tasks together may hold.", []),
  hearth_capacity_gpus: gauge("GPUs that all tasks together may hold.", []),
  hearth_reserved_cpu_cores: gauge("Cores that sandboxes hold.", ["door"]),
  hearth_reserved_memory_bytes: gauge("Memory that sandboxes hold.", ["door"]),
  hearth_reserved_gpus: gauge("GPUs that sandboxes hold.", ["door"]),

  hearth_engine_up: gauge("Whether the sandbox driver's engine answered when it was last asked.", []),
  hearth_engine_calls_total: counter("What the driver was asked for.", ["verb"]),
  hearth_engine_errors_total: counter("What the driver was asked for and could not do.", ["verb"]),
  hearth_engine_call_duration_seconds: histogram("How long the driver took.", START_BUCKETS, ["verb"]),
  hearth_isolation_usable: gauge("1 for a class of isolation that this host reaches, proven by its probe.", [
    "isolation",
  ]),

  hearth_host_cpu_cores: gauge("Cores of the host, or of the container that the daemon runs in.", []),
  hearth_host_cpu_used_ratio: gauge("Share of them in use, by tasks and everything else.", []),
  hearth_host_memory_bytes: gauge("Memory of the host, or of the container.", []),
  hearth_host_memory_available_bytes: gauge("What of it is free or can be made free at once.", []),
  hearth_host_disk_bytes: gauge("Size of the file system with the state directory.", []),
  hearth_host_disk_available_bytes: gauge("What of it is free.", []),
  hearth_host_pressure_stalled_seconds_total: counter(
    "Time in which some or all work of the host stood still for want of a resource (PSI); none where the kernel does not tell.",
    ["resource", "stall"],
  ),
  hearth_gpu_healthy: gauge("1 for a card that can be used.", ["gpu"]),
  hearth_gpu_memory_bytes: gauge("Memory of a card.", ["gpu"]),
  hearth_gpu_memory_used_bytes: gauge("What of it is in use, by tasks and everybody else.", ["gpu"]),
  hearth_gpu_compute_ratio: gauge("Share of the last sample in which the card computed.", ["gpu"]),

  process_cpu_user_seconds_total: counter("CPU time of the daemon in its own code.", []),
  process_cpu_system_seconds_total: counter("CPU time of the daemon in the kernel.", []),
  process_cpu_seconds_total: counter("CPU time of the daemon.", []),
  process_start_time_seconds: gauge("When the daemon started, in seconds since 1970.", []),
  process_resident_memory_bytes: gauge("Memory of the daemon that is in RAM.", []),
  process_open_fds: gauge("Files and sockets that the daemon holds open.", []),
  process_max_fds: gauge("How many it may hold open.", []),
  nodejs_version_info: gauge("The Node that runs the daemon; always 1.", ["version"]),
  nodejs_active_resources: gauge("Sockets, timers and requests that keep the event loop busy.", []),
  nodejs_heap_size_total_bytes: gauge("Size of the JavaScript heap.", []),
  nodejs_heap_size_used_bytes: gauge("What of it is in use.", []),
  nodejs_external_memory_bytes: gauge("Memory of buffers and other things outside of the heap.", []),
  nodejs_eventloop_lag_mean_seconds: gauge(
    "How late the event loop was on average since it was last asked.",
    [],
  ),
  nodejs_eventloop_lag_p50_seconds: gauge("How late it was at most in half of all turns.", []),
  nodejs_eventloop_lag_p99_seconds: gauge("How late it was at most in 99 of 100 turns.", []),
  nodejs_eventloop_lag_max_seconds: gauge("How late it was at worst.", []),
  nodejs_eventloop_utilization_ratio: gauge(
    "Share of the time since it was last asked in which the event loop had work.",
    [],
  ),
} as const satisfies Record<string, MetricRow>;

export type MetricName = keyof typeof METRICS;

/** What is shown as well where jobs are taken from a queue; without that door there is none of it. */
export const QUEUE_METRICS = {
  hearth_queue_up: gauge(
    "Whether the queue of jobs can be read: 0 while it is away, before it has answered for the first time, and while one of its streams, or a server that may evict keys, is refused.",
    [],
  ),
  hearth_queue_claimed_total: counter(
    "Entries that this host has claimed: new ones, and those that were another's.",
    [],
  ),
  hearth_queue_taken_over_total: counter(
    "Entries that were taken over, since another host's lease ran out.",
    [],
  ),
  hearth_queue_released_total: counter("Entries that were handed back, for whoever claims them next.", []),
  hearth_queue_committed_total: counter("Jobs whose one completion is this host's.", []),
  hearth_queue_lost_total: counter(
    "Entries that were this host's no longer when it came to renew or complete them: their lease had run out.",
    [],
  ),
  hearth_queue_dead_lettered_total: counter("Entries that were put aside, as they cannot be run.", []),
  hearth_queue_vanished_total: counter(
    "Entries that somebody trimmed or deleted from their stream while a host held them.",
    [],
  ),
  hearth_queue_reconnects_total: counter("How often the connection to the queue was made anew.", []),
  hearth_queue_emptied_total: counter("How often the queue came back without what it knew.", []),
  hearth_queue_buffered: gauge("Events and completions that wait for the queue to come back.", []),
  hearth_queue_jobs: gauge("Jobs of the queue that this host holds, by the step that they are at.", ["step"]),
} as const satisfies Record<string, MetricRow>;

export type QueueMetricName = keyof typeof QUEUE_METRICS;

/** The bounds of a histogram. */
export function bucketsOf(name: MetricName): readonly number[] {
  const row: MetricRow = METRICS[name];
  return row.buckets ?? [];
}

function counter<const L extends readonly string[]>(help: string, labels: L) {
  return { type: "counter", help, labels } as const;
}

function gauge<const L extends readonly string[]>(help: string, labels: L) {
  return { type: "gauge", help, labels } as const;
}

function histogram<const L extends readonly string[]>(help: string, buckets: readonly number[], labels: L) {
  return { type: "histogram", help, labels, buckets } as const;
}
