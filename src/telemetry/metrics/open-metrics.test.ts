import { afterEach, expect, test } from "vitest";
import { parseExposition } from "../../../test/support/exposition.ts";
import type { CallStory, GpuReading, JobStory, SandboxChange, StartStory } from "../../core/index.ts";
import { asId, ExecutorError, NO_RESOURCES } from "../../core/index.ts";
import { EngineCounters } from "./engine-counters.ts";
import type { Metrics } from "./open-metrics.ts";
import { openMetrics } from "./open-metrics.ts";
import type { MetricSources, ShownQueue } from "./sources.ts";
import { METRICS, QUEUE_METRICS } from "./table.ts";

let metrics: Metrics | undefined;
afterEach(() => metrics?.[Symbol.dispose]());

const CARD: GpuReading = {
  id: "GPU-1",
  index: 0,
  model: "none",
  memoryBytes: 1000,
  memoryUsedBytes: 250,
  computePercent: 50,
  health: { isHealthy: false, reason: "XID 79" },
  pids: [],
};

const RECEIPTS = { isEnabled: true, written: 0, lost: 0, counted: 0, pending: 0, fault: undefined };

function open(more: Partial<MetricSources> = {}, queue?: ShownQueue): EngineCounters {
  const counters = new EngineCounters();
  const sources: MetricSources = {
    version: "1.2.3",
    executor: () => ({
      state: "running",
      driver: "fake",
      capabilities: { isolation: ["gvisor"], canFreeze: false, canAdopt: false },
      host: { cpuMillis: 8000, memoryBytes: 100 },
      usage: { cpuPercent: 25, memoryPercent: 50, memoryAvailableBytes: 50 },
      capacity: NO_RESOURCES,
      reservedByDoor: { http: NO_RESOURCES, stream: NO_RESOURCES, indexify: NO_RESOURCES },
      running: 3,
      waiting: 2,
      jobs: { byState: { running: 2 }, waiting: 1 },
    }),
    sandboxes: () => [],
    gpus: () => [],
    disk: () => undefined,
    pressure: () => [],
    receipts: () => RECEIPTS,
    sessions: () => [],
    http: () => ({ open: 0, refused: 0, refusedCalls: new Map() }),
    traceExports: () => undefined,
    isEngineUp: () => true,
    ...more,
  };
  metrics = openMetrics(counters, sources, { queue });
  return counters;
}

const shown = async (): Promise<ReturnType<typeof parseExposition>> =>
  parseExposition((await metrics?.text()) ?? "");

const TASK = {
  image: "a",
  isolation: "default",
  sgx: false,
  network: "default",
  resources: { ...NO_RESOURCES, gpuMemoryBytes: 0 },
} as const;

const start = (more: Partial<StartStory>): StartStory => ({
  door: "http",
  task: TASK,
  taskKey: asId<"taskKey">("t"),
  beganAtMs: 0,
  resolvedAtMs: 20,
  wasPulled: false,
  imageDigest: "sha256:0",
  admittedAtMs: 30,
  sandboxId: asId<"sandbox">("s"),
  endedAtMs: 400,
  phases: { createMs: 100, startMs: 200, readyMs: 70 },
  isolation: "container",
  error: undefined,
  isUnwanted: false,
  ...more,
});

const change = (more: Partial<SandboxChange>): SandboxChange => ({
  sandboxId: asId<"sandbox">("s"),
  door: "http",
  task: TASK,
  taskKey: asId<"taskKey">("t"),
  isolation: "container",
  from: "stopping",
  to: "gone",
  cause: "idle",
  forSandbox: undefined,
  ...more,
});

test("a start's phases are told apart, and a pull from a look-up", async () => {
  const counters = open();
  counters.startEnded(start({}));
  counters.startEnded(start({ wasPulled: true, resolvedAtMs: 5_000, admittedAtMs: 5_000 }));
  const { value } = await shown();
  const sum = (phase: string): number => value("hearth_start_phase_duration_seconds_sum", { phase });
  const phases = ["resolve", "pull", "admit", "create", "start", "ready"];
  expect(phases.map(sum)).toEqual([0.02, 5, 0.01, 0.2, 0.4, 0.14]);
  expect(value("hearth_start_phase_duration_seconds_bucket", { phase: "create", le: "0.1" })).toBe(2);
  expect(value("hearth_start_phase_duration_seconds_bucket", { phase: "create", le: "0.05" })).toBe(0);
});

test("a failed start is counted by its code, one that nobody wanted any more is not, and a start after a bad end is a restart", async () => {
  const counters = open();
  const error = new ExecutorError("START_TIMEOUT");
  counters.startEnded(start({ error, phases: undefined }));
  counters.startEnded(
    start({ error, phases: undefined, isUnwanted: true, taskKey: asId<"taskKey">("other") }),
  );
  counters.startEnded(start({}));
  counters.startEnded(start({}));
  counters.sandboxChanged(change({ cause: "died" }));
  counters.startEnded(start({}));
  counters.sandboxChanged(change({ cause: "idle" }));
  counters.startEnded(start({}));
  const { value, sum } = await shown();
  expect(
    ["ok", "failed", "unwanted"].map((result) => value("hearth_sandbox_starts_total", { result })),
  ).toEqual([4, 1, 1]);
  expect(value("hearth_sandbox_start_errors_total", { code: "START_TIMEOUT" })).toBe(1);
  expect(sum("hearth_sandbox_start_errors_total")).toBe(1);
  expect(value("hearth_sandbox_restarts_total")).toBe(2);
  expect(value("hearth_sandbox_stops_total", { cause: "died" })).toBe(1);
});

test("calls are counted by door, class and outcome, whatever became of them", async () => {
  const counters = open();
  const call: CallStory = {
    door: "stream",
    runId: undefined,
    trace: undefined,
    task: TASK,
    taskKey: asId<"taskKey">("t"),
    acceptedAtMs: 0,
    placement: {
      sandboxId: asId<"sandbox">("s"),
      isolation: "gvisor",
      imageDigest: "sha256:0",
      start: "cold",
      waitedMs: 300,
      phases: { createMs: 1, startMs: 1, readyMs: 1 },
      warnings: [],
    },
    start: undefined,
    placedAtMs: 300,
    headAtMs: 350,
    endedAtMs: 400,
    bytesIn: 10,
    bytesOut: 20,
    status: 200,
    end: "answered",
    error: undefined,
    gpuIds: [],
    use: undefined,
    wasAlone: true,
    recordedAs: "v1" as const,
  };
  counters.callPlaced(call);
  counters.callEnded(call);
  counters.callEnded({
    ...call,
    placement: undefined,
    end: "failed",
    error: new ExecutorError("QUEUE_FULL"),
  });
  counters.callEnded({ ...call, end: "cancelled" });
  const { value, sum } = await shown();
  const count = (isolation: string, outcome: string): number =>
    value("hearth_calls_total", { door: "stream", isolation, outcome });
  expect([count("gvisor", "answered"), count("none", "failed"), count("gvisor", "cancelled")]).toEqual([
    1, 1, 1,
  ]);
  expect(sum("hearth_calls_total")).toBe(3);
  expect(value("hearth_call_errors_total", { code: "QUEUE_FULL" })).toBe(1);
  expect(value("hearth_call_queue_duration_seconds_sum", { start: "cold" })).toBe(0.3);
  expect(value("hearth_start_phase_duration_seconds_sum", { phase: "first_byte" })).toBe(0.1);
  expect(value("hearth_call_answer_bytes_total", { door: "stream" })).toBe(60);
});

test("an engine's failure is counted by verb; what its caller gave up is no failure", async () => {
  const counters = open({ isEngineUp: () => false });
  counters.engineCalled("start", 40, undefined);
  counters.engineCalled("start", 40, "ENGINE_FAILED");
  counters.engineCalled("start", 40, "CALL_CANCELLED");
  const { value } = await shown();
  expect(value("hearth_engine_calls_total", { verb: "start" })).toBe(3);
  expect(value("hearth_engine_errors_total", { verb: "start" })).toBe(1);
  expect(value("hearth_engine_call_duration_seconds_sum", { verb: "start" })).toBeCloseTo(0.12);
  expect(value("hearth_engine_up")).toBe(0);
});

test("what the host has and does is told in base units", async () => {
  open({
    sandboxes: () => [
      { tier: "hot", isolation: "gvisor" },
      { tier: "hot", isolation: "gvisor" },
      { tier: "retiring", isolation: "gvisor" },
      { tier: "starting", isolation: undefined },
    ],
    gpus: () => [CARD],
    disk: () => ({ totalBytes: 10, availableBytes: 4 }),
    pressure: () => [{ resource: "io", stall: "full", stalledSeconds: 1.5 }],
  });
  const { value } = await shown();
  expect(value("hearth_sandboxes", { state: "hot", isolation: "gvisor" })).toBe(2);
  expect(value("hearth_sandboxes", { state: "retiring", isolation: "gvisor" })).toBe(1);
  expect(value("hearth_sandboxes", { state: "starting", isolation: "none" })).toBe(1);
  expect(value("hearth_host_cpu_used_ratio")).toBe(0.25);
  expect(value("hearth_host_cpu_cores")).toBe(8);
  expect(value("hearth_host_disk_available_bytes")).toBe(4);
  expect(value("hearth_host_pressure_stalled_seconds_total", { resource: "io", stall: "full" })).toBe(1.5);
  expect(value("hearth_gpu_healthy", { gpu: "0" })).toBe(0);
  expect(value("hearth_gpu_compute_ratio", { gpu: "0" })).toBe(0.5);
  expect(value("hearth_isolation_usable", { isolation: "gvisor" })).toBe(1);
  expect(value("hearth_isolation_usable", { isolation: "container" })).toBe(0);
  expect(value("hearth_state", { state: "running" })).toBe(1);
  expect(value("hearth_state", { state: "paused" })).toBe(0);
});

const job = (more: Partial<JobStory>): JobStory => ({
  ...{ door: "stream", mark: { jobId: "j", attempt: 1 }, task: TASK, taskKey: asId<"taskKey">("t") },
  ...{ sandboxId: asId<"sandbox">("s"), state: "settling", isolation: "container", imageDigest: "sha256:0" },
  ...{
    serves: undefined,
    gpuIds: [],
    acceptedAtMs: 0,
    heldSinceMs: 1_000,
    beganAtMs: 2_000,
    resolvedAtMs: 2_500,
  },
  ...{ startedAtMs: 3_000, endedAtMs: 63_000, usage: undefined, bytesIn: 1, bytesOut: 2 },
  ...{ end: "done", error: undefined },
  ...more,
});

test("jobs are counted by how they ended and through which door, with the time that they ran and what they waited for", async () => {
  const counters = open();
  counters.jobEnded(job({}));
  counters.jobEnded(job({ end: "memory", endedAtMs: 4_000 }));
  const early = { beganAtMs: undefined, resolvedAtMs: undefined, startedAtMs: undefined };
  counters.jobEnded(job({ end: "unused", endedAtMs: 5_000, ...early }));
  const { value } = await shown();
  const ended = (cause: string): number => value("hearth_jobs_ended_total", { door: "stream", cause });
  expect(["done", "memory", "unused", "lost"].map(ended)).toEqual([1, 1, 1, 0]);
  expect(value("hearth_job_duration_seconds_sum", { cause: "done" })).toBe(60);
  expect(value("hearth_job_duration_seconds_sum", { cause: "unused" })).toBe(5);
  const phase = (name: string): number => value("hearth_job_start_duration_seconds_sum", { phase: name });
  expect(["room", "image", "start"].map(phase)).toEqual([2, 1, 1]);
  expect(value("hearth_jobs", { state: "running" })).toBe(2);
  expect(value("hearth_jobs", { state: "leftover" })).toBe(0);
  expect(value("hearth_jobs_waiting")).toBe(1);
});

test("what became of receipts is told", async () => {
  const receipts = {
    isEnabled: true,
    written: 7,
    lost: 2,
    counted: 3,
    pending: 4,
    fault: "the disk is full",
  };
  open({ receipts: () => receipts });
  const { value } = await shown();
  const names = ["written_total", "lost_total", "counted_total", "pending", "up"];
  expect(names.map((name) => value(`hearth_receipts_${name}`))).toEqual([7, 2, 3, 4, 0]);
});

test("the queue of jobs is told where there is one, by what it counted and what is held", async () => {
  const figures = {
    ...{ claimed: 20, takenOver: 2, released: 3, committed: 14, lost: 4, deadLettered: 5 },
    ...{ vanished: 6, reconnects: 7, emptied: 8, buffered: 9 },
  };
  let state = "connected";
  const jobs = [{ step: "running" }, { step: "running" }, { step: "packing" }] as const;
  open({}, { view: () => ({ state, figures, jobs }) });
  const { value, types } = await shown();
  const names = ["claimed", "taken_over", "released", "committed", "lost", "dead_lettered", "vanished"];
  const counted = [...names, "reconnects", "emptied"].map((name) => value(`hearth_queue_${name}_total`));
  expect(counted).toEqual([20, 2, 3, 14, 4, 5, 6, 7, 8]);
  expect(value("hearth_queue_buffered")).toBe(9);
  const held = ["waiting", "running", "packing"].map((step) => value("hearth_queue_jobs", { step }));
  expect(held).toEqual([0, 2, 1]);
  expect(value("hearth_queue_up")).toBe(1);
  for (state of ["away", "broken"]) expect((await shown()).value("hearth_queue_up")).toBe(0);
  expect([...types.keys()]).toEqual([...Object.keys(METRICS), ...Object.keys(QUEUE_METRICS)]);
});

test("a host without GPUs, pressure or a known disk has no figures of them, and still names them", async () => {
  open();
  const { types, samples } = await shown();
  expect([...types.keys()]).toEqual(Object.keys(METRICS));
  expect([...samples.keys()].filter((key) => /gpu_|pressure|host_disk/.test(key))).toEqual([]);
});

test("a scrape gives way to other work", async () => {
  const busy = (): void => {
    const untilMs = performance.now() + 5;
    while (performance.now() < untilMs);
  };
  open({
    gpus: () => {
      busy();
      return [];
    },
  });
  let turns = 0;
  let isDone = false;
  const count = (): void => {
    turns += 1;
    if (!isDone) setImmediate(count);
  };
  setImmediate(count);
  await metrics?.text();
  isDone = true;
  // Four metrics read the cards.
  expect(turns).toBeGreaterThanOrEqual(4);
});

test("calls turned away at the door, connections, sessions and exports are told as they are counted elsewhere", async () => {
  open({
    sessions: () => [{ sessionId: "s" }, { sessionId: undefined }, { sessionId: undefined }],
    http: () => ({ open: 7, refused: 3, refusedCalls: new Map([["TOKEN_REQUIRED", 5]]) }),
    traceExports: () => ({ ok: 2, failed: 1 }),
  });
  const { value } = await shown();
  expect(value("hearth_calls_refused_total", { code: "TOKEN_REQUIRED" })).toBe(5);
  expect(value("hearth_calls_refused_total", { code: "BODY_TOO_LARGE" })).toBe(0);
  expect(value("hearth_sessions", { kind: "session" })).toBe(1);
  expect(value("hearth_sessions", { kind: "hold" })).toBe(2);
  expect([value("hearth_http_connections"), value("hearth_http_connections_refused_total")]).toEqual([7, 3]);
  expect(value("hearth_trace_exports_total", { result: "failed" })).toBe(1);
});
