import { create } from "@bufbuild/protobuf";
import { expect, test } from "vitest";
import type { AttemptRecord, TaskSpec } from "../../../core/index.ts";
import { asId, attemptPhases, ExecutorError, taskKey } from "../../../core/index.ts";
import type { AllocationOutcome } from "../../../gen/executor_api_pb.js";
import { AllocationFailureReason, AllocationOutcomeSchema } from "../../../gen/executor_api_pb.js";
import type { EndedAllocation } from "./record-allocations.ts";
import { recordAllocations } from "./record-allocations.ts";

const TASK: TaskSpec = {
  image: "functions:1",
  isolation: "default",
  resources: { cpuMillis: 250, memoryBytes: 1024, gpuCount: 1, gpuMemoryBytes: 0 },
  sgx: false,
  network: "default",
};
const ASKED: TaskSpec = { ...TASK, image: "asked:1" };
const COMPLETED = create(AllocationOutcomeSchema, { outcome: { case: "completed", value: {} } });

function failedWith(reason: AllocationFailureReason, deadContainerId?: string): AllocationOutcome {
  const value = deadContainerId === undefined ? { reason } : { reason, containerId: deadContainerId };
  return create(AllocationOutcomeSchema, { outcome: { case: "failed", value } });
}

function recordOf(more: Partial<EndedAllocation>): AttemptRecord {
  const records: AttemptRecord[] = [];
  const tell = recordAllocations({
    receipts: { record: (attempt) => void records.push(attempt) },
    taskOf: () => ASKED,
    newId: () => "m1",
  });
  tell({
    allocationId: "a1",
    outcome: COMPLETED,
    container: undefined,
    home: {
      task: TASK,
      sandboxId: asId<"sandbox">("s1"),
      isolation: "gvisor",
      imageDigest: "sha256:0",
      gpuIds: ["GPU-1"],
    },
    story: {
      ...{ startedAtMs: 1010, workedAtMs: 1040, isCold: false, bytesIn: 7, bytesOut: 9 },
      cause: undefined,
    },
    ...{ fetchedAtMs: 1000, endedAtMs: 1045, isDrained: false },
    ...more,
  });
  const [record] = records;
  if (record === undefined || records.length > 1) throw new Error(`${records.length} records`);
  return record;
}

test("one that completed has its worker's place and cards, its own bytes, and phases that sum to its time; no use is made up", () => {
  const record = recordOf({});
  expect(record).toMatchObject({
    ...{ id: "a1~m1", door: "indexify", task: TASK, taskKey: taskKey(TASK), gpuIds: ["GPU-1"] },
    place: { sandboxId: "s1", isolation: "gvisor", imageDigest: "sha256:0", start: "warm" },
    ...{ use: undefined, bytesIn: 7, bytesOut: 9, outcome: "answered", error: undefined, status: undefined },
  });
  expect(attemptPhases(record.times)).toEqual({ queued: 10_000, firstByte: 30_000, answer: 5_000 });
});

test("one that waited for its worker's start began cold", () => {
  const story = { startedAtMs: 1010, workedAtMs: 1040, isCold: true, bytesIn: 0, bytesOut: 0 };
  expect(recordOf({ story: { ...story, cause: undefined } }).place?.start).toBe("cold");
});

test("one that never had a slot has no place, and all of its time is a wait", () => {
  const story = { startedAtMs: undefined, workedAtMs: undefined, isCold: true, bytesIn: 7, bytesOut: 0 };
  const record = recordOf({
    outcome: failedWith(AllocationFailureReason.CONTAINER_TERMINATED, "c1"),
    story: { ...story, cause: undefined },
  });
  expect(record).toMatchObject({ place: undefined, outcome: "failed", error: { code: "SANDBOX_LOST" } });
  expect(attemptPhases(record.times)).toEqual({ queued: 45_000 });
});

test("one that never came to a worker is of the task that its container asked for", () => {
  const record = recordOf({
    outcome: failedWith(AllocationFailureReason.CONSTRAINT_UNSATISFIABLE),
    ...{ home: undefined, story: undefined },
  });
  expect(record).toMatchObject({
    ...{ task: ASKED, taskKey: taskKey(ASKED), place: undefined, gpuIds: [], bytesIn: 0, bytesOut: 0 },
    error: { code: "SANDBOX_START_FAILED", facts: { reason: "CONSTRAINT_UNSATISFIABLE" } },
  });
});

test.for([
  ["FUNCTION_ERROR", undefined, "failed", "FUNCTION_FAILED"],
  ["FUNCTION_ERROR", "c1", "failed", "TASK_EXITED"],
  ["REQUEST_ERROR", undefined, "failed", "FUNCTION_FAILED"],
  ["FUNCTION_TIMEOUT", "c1", "failed", "RUN_TIMEOUT"],
  ["INTERNAL_ERROR", undefined, "failed", "INTERNAL"],
  ["ALLOCATION_CANCELLED", "c1", "cancelled", "CALL_CANCELLED"],
  ["CONTAINER_TERMINATED", "c1", "failed", "SANDBOX_LOST"],
  ["OOM", "c1", "failed", "TASK_OUT_OF_MEMORY"],
  ["STARTUP_FAILED_INTERNAL_ERROR", "c1", "failed", "SANDBOX_START_FAILED"],
  ["STARTUP_FAILED_FUNCTION_ERROR", "c1", "failed", "SANDBOX_EXITED_EARLY"],
  ["STARTUP_FAILED_FUNCTION_TIMEOUT", "c1", "failed", "START_TIMEOUT"],
  ["STARTUP_FAILED_BAD_IMAGE", "c1", "failed", "IMAGE_UNUSABLE"],
] as const)("%s, of a worker that is dead: %s, is %s with %s", ([reason, dead, outcome, code]) => {
  const record = recordOf({ outcome: failedWith(AllocationFailureReason[reason], dead) });
  expect(record).toMatchObject({ outcome, error: { code, facts: { reason } } });
});

test("what this host knows of a failure that it tells the server nothing of is kept", () => {
  const cause = new ExecutorError("ARTIFACT_STORE_DENIED", { key: "k", reason: "it is full" });
  const story = { startedAtMs: undefined, workedAtMs: undefined, isCold: false, bytesIn: 0, bytesOut: 0 };
  const outcome = failedWith(AllocationFailureReason.INTERNAL_ERROR);
  expect(recordOf({ outcome, story: { ...story, cause } }).error).toBe(cause);
});

test("one that went with this host's end was cancelled by it, whatever its outcome would have said", () => {
  for (const outcome of [COMPLETED, failedWith(AllocationFailureReason.CONTAINER_TERMINATED, "c1")])
    expect(recordOf({ outcome, isDrained: true })).toMatchObject({
      outcome: "cancelled",
      error: { code: "DRAINING" },
    });
});

test("a name of the server's is one that a path of the API can hold", () => {
  expect(recordOf({ allocationId: `a/b ${"x".repeat(300)}` }).id).toBe(`a_b_${"x".repeat(196)}~m1`);
});
