import { spawnSync } from "node:child_process";
import { expect, test } from "vitest";
import { type Exposition, parseExposition } from "../../../../test/support/exposition.ts";
import { joinReaders, openRegistry } from "../registry.ts";
import { IndexifyCounters } from "./indexify-counters.ts";
import type { IndexifyFigures, ShownIndexify } from "./indexify-readers.ts";
import { indexifyReaders } from "./indexify-readers.ts";
import { INDEXIFY_METRICS } from "./indexify-table.ts";

const RESTING: IndexifyFigures = {
  state: "running",
  isHealthy: true,
  wanted: { containers: 0, allocations: 0 },
  workers: [],
  allocations: [],
};

const IDENTITY: ShownIndexify["identity"] = {
  executorId: "executor-1",
  version: "1.2.3",
  cacheFolder: "/cache",
  serverAddress: "http://server:8901",
  configFile: undefined,
  hostName: "host",
  labels: { "zone/a": "b" },
  functions: ["n:a:f"],
};

async function shown(
  counters: IndexifyCounters,
  figures: Partial<IndexifyFigures> = {},
): Promise<Exposition> {
  const readers = indexifyReaders({
    counters,
    identity: IDENTITY,
    figures: () => ({ ...RESTING, ...figures }),
  });
  return parseExposition(await openRegistry(joinReaders(INDEXIFY_METRICS, readers)).text());
}

test("X7: every metric without labels is there from the start at 0, and so are the known pairs of labels", async () => {
  const fresh = await shown(new IndexifyCounters());
  expect([...fresh.types.keys()].sort()).toEqual(Object.keys(INDEXIFY_METRICS).sort());
  for (const [name, { type, labels }] of Object.entries(INDEXIFY_METRICS)) {
    if (labels.length > 0 || name === "healthy") continue;
    expect([name, fresh.value(type === "histogram" ? `${name}_count` : name)]).toEqual([name, 0]);
    if (type === "histogram") expect(fresh.value(`${name}_bucket`, { le: "+Inf" })).toBe(0);
  }
  const pairs = ["unknown", "function_error", "internal_error", "alloc_cancelled"].map(
    (reason) => ["failure", reason] as const,
  );
  const others = [["all", "all"] as const, ["success", "none"] as const];
  for (const [outcome_code, failure_reason] of [...pairs, ...others]) {
    expect(fresh.value("allocations_completed_total", { outcome_code, failure_reason })).toBe(0);
  }
});

test("X7: this executor is told in one sample", async () => {
  const { samples } = await shown(new IndexifyCounters());
  expect([...samples].filter(([name]) => name.startsWith("executor_info"))).toEqual([
    [
      'executor_info{id="executor-1",version="1.2.3",cache_path="/cache",grpc_server_addr="http://server:8901",config_path="None",hostname="host",label_zone_a="b",function_allowlist_0="n:a:f"}',
      1,
    ],
  ]);
  expect(samples.get('cli_info{package="indexify"}')).toBe(1);
});

test("every end of an allocation counts among all and by itself", async () => {
  const counters = new IndexifyCounters();
  counters.allocationCompleted("success", 20);
  counters.allocationCompleted("function_error", 400);
  const { value } = await shown(counters);
  const completed = (outcome_code: string, failure_reason: string): number =>
    value("allocations_completed_total", { outcome_code, failure_reason });
  expect([
    completed("all", "all"),
    completed("success", "none"),
    completed("failure", "function_error"),
  ]).toEqual([2, 1, 1]);
  expect(value("allocation_completion_latency_seconds_sum")).toBeCloseTo(0.42);
  expect(value("allocation_completion_latency_seconds_bucket", { le: "0.05" })).toBe(1);
});

test("an operation that failed counts as done and as failed, and its time is told", async () => {
  const counters = new IndexifyCounters();
  counters.done("function_executor_create", 2500, true);
  counters.done("function_executor_create", 500, false);
  const { value } = await shown(counters);
  expect(value("function_executor_creates_total")).toBe(2);
  expect(value("function_executor_create_errors_total")).toBe(1);
  expect(value("function_executor_create_latency_seconds_bucket", { le: "2" })).toBe(1);
  expect(value("function_executor_create_latency_seconds_bucket", { le: "3" })).toBe(2);
  expect(value("function_executor_create_latency_seconds_sum")).toBe(3);
});

test("what waits is told by function, also of functions of which nothing waits any more", async () => {
  const counters = new IndexifyCounters();
  counters.allocationFetched("f");
  counters.allocationFetched("g");
  const { value } = await shown(counters, {
    allocations: [
      { functionName: "f", phase: "waiting" },
      { functionName: "g", phase: "running" },
    ],
    workers: ["running", "starting", "terminated"],
  });
  const waiting = (function_name: string): number =>
    value("runnable_allocations_per_function_name", { function_name });
  expect([value("allocations_fetched_total"), waiting("f"), waiting("g")]).toEqual([2, 1, 0]);
  expect([value("runnable_allocations"), value("allocation_runs_in_progress")]).toEqual([1, 1]);
  expect(value("function_executors_count")).toBe(2);
  expect(value("function_executors_with_state", { state: "terminated" })).toBe(1);
});

test("names that come from outside do not grow without end", async () => {
  const counters = new IndexifyCounters();
  for (let n = 0; n < 3000; n += 1) {
    counters.allocationFetched(`f${n}`);
    counters.workerAnswered({ version: `${n}`, sdkVersion: "", sdkLanguage: "", sdkLanguageVersion: "" });
  }
  const { samples, value } = await shown(counters);
  const of = (metric: string): number =>
    [...samples.keys()].filter((name) => name.startsWith(`${metric}{`)).length;
  expect(of("runnable_allocations_per_function_name")).toBe(1000);
  expect(of("function_executor_infos_total")).toBe(1000);
  expect(value("allocations_fetched_total")).toBe(3000);
});

const hasPromtool = spawnSync("promtool", ["--version"]).error === undefined;

test.skipIf(!hasPromtool)("X4: promtool has nothing to say but of the names that are given", async () => {
  const counters = new IndexifyCounters();
  counters.allocationFetched('a "name"\n');
  counters.workerAnswered({ version: "1", sdkVersion: "2", sdkLanguage: "python", sdkLanguageVersion: "3" });
  const { text } = await shown(counters);
  const run = spawnSync("promtool", ["check", "metrics"], { input: text, encoding: "utf8" });
  const said = (run.stdout + run.stderr).split("\n").filter((line) => line !== "");
  expect(said.map((line) => line.split(" ")[0])).toEqual([
    "function_call_message_size_mb",
    "function_executors_count",
    "state_report_message_size_mb",
  ]);
});
