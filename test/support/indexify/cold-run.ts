import { expect } from "vitest";
import { INDEXIFY_METRICS } from "../../../src/telemetry/metrics/indexify/indexify-table.ts";
import type { Exposition } from "../exposition.ts";

/** As `contracts/indexify.md` 9.4 lists it. */
const COLD_STEPS = [
  "create",
  "create_server",
  "establish_channel",
  "get_info_rpc",
  "initialize_rpc",
  "create_health_checker",
].map((step) => `function_executor_${step}_latency_seconds_count`);
const GROWN_BY_ONE = [
  "application_downloads_total",
  "application_download_latency_seconds_count",
  "allocation_preparations_total",
  "allocation_preparation_latency_seconds_count",
  "function_executor_creates_total",
  ...COLD_STEPS,
  "allocations_fetched_total",
  'allocations_completed_total{outcome_code="all",failure_reason="all"}',
  'allocations_completed_total{outcome_code="success",failure_reason="none"}',
  "allocation_completion_latency_seconds_count",
  "allocation_finalizations_total",
  "allocation_finalization_latency_seconds_count",
  "schedule_allocation_latency_seconds_count",
  "allocation_runs_total",
  "allocation_run_latency_seconds_count",
];
const UNCHANGED = [
  ...Object.keys(INDEXIFY_METRICS).filter((name) => name.endsWith("_errors_total")),
  "function_executor_failed_health_checks_total",
  "application_downloads_from_cache_total",
  "allocations_getting_prepared",
  "runnable_allocations",
  "allocation_runs_in_progress",
  "allocations_finalizing",
  "grpc_server_channel_creations_total",
  "grpc_server_channel_creation_retries_total",
  "grpc_server_channel_creation_latency_seconds_count",
  ...["starting", "running", "shutting_down"].map((state) => `executor_state{executor_state="${state}"}`),
  ...["function_error", "internal_error", "function_executor_terminated"].map(
    (reason) => `allocations_completed_total{outcome_code="failure",failure_reason="${reason}"}`,
  ),
];

/** One run of a function whose worker was not there before changes what it should, and nothing else. */
export function expectColdRun(before: Exposition, after: Exposition): void {
  const grown = (name: string): number =>
    (after.samples.get(name) ?? Number.NaN) - (before.samples.get(name) ?? Number.NaN);
  expect(GROWN_BY_ONE.map((name) => [name, grown(name)])).toEqual(GROWN_BY_ONE.map((name) => [name, 1]));
  expect(UNCHANGED.map((name) => [name, grown(name)])).toEqual(UNCHANGED.map((name) => [name, 0]));
  expect(after.value("grpc_server_channel_creations_total")).toBe(1);
  expect(after.value("function_executors_with_state", { state: "running" })).toBe(1);
  expect(after.sum("function_executor_infos_total")).toBe(1);
}
