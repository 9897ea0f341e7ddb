import type { IndexifyEvent, IndexifyOperation } from "../../../core/index.ts";
import type { MetricRow } from "../table.ts";
import { CUSTOMER_BUCKETS, FAST_BUCKETS, SIZE_BUCKETS, SLOW_BUCKETS } from "./buckets.ts";

/** Which metrics an operation has beside its `…_latency_seconds`. */
export interface OperationRow {
  /** In the middle of a sentence. */
  readonly about: string;
  readonly buckets: readonly number[];
  /** How often it was done; `undefined` where its latency's count says it. */
  readonly counter?: string;
  readonly hasErrors: boolean;
}

const fast = (about: string, counter?: string): OperationRow => row(about, FAST_BUCKETS, counter);
const blob = (about: string, name: string): OperationRow =>
  fast(`${about} the blob store`, `blob_store_${name}_requests_total`);

/** In the order in which they are shown. */
export const OPERATIONS: Readonly<Record<IndexifyOperation, OperationRow>> = {
  grpc_server_channel_creation: {
    ...fast("connecting to the server", "grpc_server_channel_creations_total"),
    hasErrors: false,
  },
  state_report_rpc: fast("heartbeats to the server", "state_report_rpcs_total"),
  state_reconciliation: fast("bringing about what the server wants", "state_reconciliations_total"),
  blob_store_get: blob("reading blobs from", "get"),
  blob_store_get_metadata: blob("asking for the sizes of blobs in", "get_metadata"),
  blob_store_presign_uri: blob("addresses that workers may use in", "presign_uri"),
  blob_store_upload: blob("writing blobs at once to", "upload"),
  blob_store_create_multipart_upload: blob("beginning to write blobs to", "create_multipart_upload"),
  blob_store_complete_multipart_upload: blob("making written blobs whole in", "complete_multipart_upload"),
  blob_store_abort_multipart_upload: blob("giving up blobs in", "abort_multipart_upload"),
  function_executor_create: row("starting workers", CUSTOMER_BUCKETS, "function_executor_creates_total"),
  function_executor_destroy: row("ending workers", SLOW_BUCKETS, "function_executor_destroys_total"),
  function_executor_create_server: row("starting the programs of workers", SLOW_BUCKETS),
  function_executor_destroy_server: row("ending the programs of workers", SLOW_BUCKETS),
  function_executor_establish_channel: fast("waiting until workers can be reached"),
  function_executor_destroy_channel: fast("closing the connections to workers"),
  function_executor_get_info_rpc: fast("asking workers for their versions"),
  function_executor_initialize_rpc: row("having workers load their functions", CUSTOMER_BUCKETS),
  function_executor_create_health_checker: fast("beginning to look after the health of workers"),
  function_executor_destroy_health_checker: fast("no longer looking after the health of workers"),
  function_executor_health_check: { ...fast("checks of a worker's health"), hasErrors: false },
  application_download: fast(
    "getting the code of applications, also from the cache",
    "application_downloads_total",
  ),
  allocation_preparation: fast("preparing the inputs of allocations", "allocation_preparations_total"),
  schedule_allocation: {
    ...row("waiting for a slot in a worker, of prepared allocations", CUSTOMER_BUCKETS),
    hasErrors: false,
  },
  handle_function_executor_control_loop_event: {
    ...fast("following up on changes of workers and allocations"),
    hasErrors: false,
  },
  allocation_run: row("running allocations in workers", CUSTOMER_BUCKETS, "allocation_runs_total"),
  call_function_rpc: fast("taking function calls from workers", "call_function_rpcs_total"),
  allocation_finalization: fast("completing the outputs of allocations", "allocation_finalizations_total"),
};

const EVENTS: Readonly<Record<IndexifyEvent, string>> = {
  grpc_server_channel_creation_retries: "Tries to connect to the server after one that failed.",
  state_report_messages_over_size_limit:
    "Heartbeats with one report that alone is larger than a message should be.",
  state_report_message_fragmentations: "Heartbeats that could not carry all reports at once.",
  desired_state_streams: "Times that the server was asked for commands after it was not.",
  desired_state_stream_errors: "Requests for commands or results that failed.",
  function_executor_failed_health_checks: "Checks of a worker's health that it failed.",
  application_downloads_from_cache: "Times that the code of an application was in the cache.",
};

/** What is read or counted by itself, in the order in which it is shown. */
const OTHERS = {
  python_info: gauge(
    "What runs this executor, under the name that readers of these metrics look for: it is Node.js; always 1.",
    ["implementation", "major", "minor", "patchlevel", "version"],
  ),
  executor_info: gauge(
    "This executor; always 1. Further labels tell its labels and the functions it allows.",
    [...["id", "version", "cache_path", "grpc_server_addr", "config_path", "hostname"]],
  ),
  cli_info: gauge("The package whose metrics these are; always 1.", ["package"]),
  executor_state: gauge("1 for the state of the Indexify door, 0 for the others.", ["executor_state"]),
  healthy: gauge("Whether the last heartbeat came through.", []),
  executor_events_pushed_total: counter(
    "Events pushed to an event collector; there is none, receipts and the event feed take its place.",
    [],
  ),
  executor_event_push_errors_total: counter("Events that could not be pushed to an event collector.", []),
  last_desired_state_allocations: gauge("Allocations that the server wants now.", []),
  last_desired_state_function_executors: gauge("Workers that the server wants now.", []),
  function_executors_count: gauge("Workers there are, also those that start or end.", []),
  function_executors_with_state: gauge("Workers by what they are at; `terminated`: remembered only.", [
    "state",
  ]),
  function_executor_infos_total: counter("Workers that told their versions.", [
    ...["version", "sdk_version", "sdk_language", "sdk_language_version"],
  ]),
  allocations_fetched_total: counter("Allocations that the server has handed over.", []),
  allocations_getting_prepared: gauge("Allocations whose inputs are being prepared.", []),
  runnable_allocations: gauge("Allocations that wait for a slot in their worker.", []),
  runnable_allocations_per_function_name: gauge("The same by the function's name; of the first 1000 names.", [
    "function_name",
  ]),
  allocation_runs_in_progress: gauge("Allocations that run now.", []),
  allocations_finalizing: gauge("Allocations whose outputs are being completed.", []),
  allocations_completed_total: counter(
    "Allocations that are over. Each counts twice: once under `all`, and once by how it ended.",
    ["outcome_code", "failure_reason"],
  ),
  allocation_completion_latency_seconds: histogram(
    "From handing an allocation over to its outcome.",
    CUSTOMER_BUCKETS,
  ),
  function_call_message_size_mb: histogram(
    "Size of the calls that functions make, in megabytes.",
    SIZE_BUCKETS,
  ),
  state_report_message_size_mb: histogram("Size of the reports in a heartbeat, in megabytes.", SIZE_BUCKETS),
} as const satisfies Record<string, MetricRow>;

export type OtherMetric = keyof typeof OTHERS;

/**
 * The metrics of the Indexify door. Their names, labels and buckets are those of the executor that it stands in for, whose
 * dashboards and tests go on working; they break our own rules for names where those do.
 */
export const INDEXIFY_METRICS: Readonly<Record<string, MetricRow>> = {
  ...OTHERS,
  ...Object.fromEntries(Object.entries(EVENTS).map(([name, help]) => [`${name}_total`, counter(help, [])])),
  ...Object.fromEntries(Object.entries(OPERATIONS).flatMap(([name, one]) => rowsOf(name, one))),
};

function rowsOf(name: string, { about, buckets, counter: total, hasErrors }: OperationRow) {
  return [
    ...(total === undefined ? [] : [[total, counter(`How often: ${about}.`, [])] as const]),
    ...(hasErrors ? [[`${name}_errors_total`, counter(`How often it failed: ${about}.`, [])] as const] : []),
    [`${name}_latency_seconds`, histogram(`How long it took: ${about}.`, buckets)] as const,
  ];
}

function row(about: string, buckets: readonly number[], total?: string): OperationRow {
  return { about, buckets, hasErrors: true, ...(total === undefined ? {} : { counter: total }) };
}

function counter(help: string, labels: readonly string[]): MetricRow {
  return { type: "counter", help, labels };
}

function gauge(help: string, labels: readonly string[]): MetricRow {
  return { type: "gauge", help, labels };
}

function histogram(help: string, buckets: readonly number[]): MetricRow {
  return { type: "histogram", help, labels: [], buckets };
}
