import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { expect, test } from "vitest";
import { settle, VirtualClock } from "../../../../test/support/virtual-clock.ts";
import type { BlobStore, Log, SandboxEnd } from "../../../core/index.ts";
import { ExecutorError, NO_INDEXIFY_OBSERVER } from "../../../core/index.ts";
import {
  AllocationFailureReason,
  CommandSchema,
  ContainerTerminationReason,
  ContainerType,
  DataPayloadEncoding,
} from "../../../gen/executor_api_pb.js";
import { silentLog } from "../../../telemetry/silent-log.ts";
import type { Report } from "../link/report-queue.ts";
import type { EndedAllocation } from "../observe/record-allocations.ts";
import { type ObservedWork, observedWork, type WantedWork, wantedWork } from "../show-door.ts";
import { WORKER_TIMES, type WorkerProcess } from "../worker/worker.ts";
import { Desk, type DeskOptions } from "./desk.ts";

const REFUSED = new ExecutorError("ARTIFACT_STORE_DENIED", { key: "k", reason: "it is full" });
const NEVER = new Promise<never>(() => undefined);

/** A store in which nothing can be written. */
const FULL: BlobStore = {
  size: () => Promise.resolve(undefined),
  readUri: (uri) => Promise.resolve(uri),
  checkWrite: () => Promise.resolve(),
  beginWrite: () => Promise.reject(REFUSED),
  read: () => Promise.reject(REFUSED),
  [Symbol.asyncDispose]: () => Promise.resolve(),
};

const FUNCTION = { namespace: "n", applicationName: "a", functionName: "f", applicationVersion: "v" };

interface TestDesk {
  readonly clock: VirtualClock;
  readonly reports: readonly Report[];
  /** What was told of allocations that were over. */
  readonly ended: readonly EndedAllocation[];
  /** What of this the monitor door shows. */
  desired(): WantedWork;
  observed(): ObservedWork;
  end(): Promise<void>;
  take(command: NonNullable<MessageInitShape<typeof CommandSchema>["command"]>): Promise<void>;
  addWorker(id?: string): Promise<void>;
  /** The ends of the worker that were told, in their order. */
  ends(): readonly (string | undefined)[];
}

function openDesk(
  launch: DeskOptions["launch"],
  isAllowed: DeskOptions["isAllowed"] = () => true,
  blobs: BlobStore = FULL,
  log: Log = silentLog,
): TestDesk {
  const clock = new VirtualClock();
  const reports: Report[] = [];
  const ended: EndedAllocation[] = [];
  let seq = 0n;
  const desk = new Desk({
    ...{ clock, blobs, log, observer: NO_INDEXIFY_OBSERVER, launch, isAllowed },
    code: { read: () => NEVER },
    workerTimes: WORKER_TIMES,
    launchSandbox: () => Promise.reject(REFUSED),
    report: (report) => reports.push(report),
    onAllocationEnd: (allocation) => ended.push(allocation),
  });
  const take: TestDesk["take"] = async (command) => {
    seq += 1n;
    desk.take(create(CommandSchema, { seq, command }));
    await settle();
  };
  return {
    ...{ clock, reports, ended, take },
    desired: () => wantedWork(desk),
    observed: () => observedWork(desk),
    end: () => desk.end(),
    addWorker: (id = "c1") =>
      take({
        case: "addContainer",
        value: {
          container: {
            id,
            containerType: ContainerType.FUNCTION,
            function: FUNCTION,
            application: {
              ...{ uri: "file:///code", size: 1n, sha256Hash: "ab", encodingVersion: 0n },
              encoding: DataPayloadEncoding.BINARY_ZIP,
            },
            ...{ initializationTimeoutMs: 0, allocationTimeoutMs: 1_000, maxConcurrency: 1 },
          },
        },
      }),
    ends: () =>
      reports.flatMap((report) =>
        report.type === "response" && report.message.response.case === "containerTerminated"
          ? [ContainerTerminationReason[report.message.response.value.reason]]
          : [],
      ),
  };
}

/** One that ends before anything listens in it. */
const endsAtOnce = (end: SandboxEnd, isOfImage: boolean): WorkerProcess => ({
  ...{ address: "127.0.0.1:1", isOfImage, ended: Promise.resolve(end) },
  kill: () => Promise.resolve(),
});

test.for([
  [126, true, "STARTUP_FAILED_BAD_IMAGE"],
  [127, true, "STARTUP_FAILED_BAD_IMAGE"],
  [1, true, "STARTUP_FAILED_INTERNAL_ERROR"],
  [126, false, "STARTUP_FAILED_INTERNAL_ERROR"],
  [127, false, "STARTUP_FAILED_INTERNAL_ERROR"],
] as const)(
  "a worker that ends with %i at its start, of an image: %s, is told as %s",
  async ([exitCode, isOfImage, told]) => {
    const desk = openDesk(() => Promise.resolve(endsAtOnce({ type: "exited", exitCode }, isOfImage)));
    await desk.addWorker();
    expect(desk.ends()).toEqual([told]);
  },
);

test("a worker that is asked for again after its end is not started again: its end is told again", async () => {
  let starts = 0;
  const desk = openDesk(() => {
    starts += 1;
    return Promise.reject(new ExecutorError("IMAGE_NOT_FOUND", { image: "i", reason: "it is gone" }));
  });
  await desk.addWorker();
  expect(desk.ends()).toEqual(["STARTUP_FAILED_BAD_IMAGE"]);
  await desk.addWorker();
  await desk.addWorker();
  expect(desk.ends()).toEqual(Array.from({ length: 3 }, () => "STARTUP_FAILED_BAD_IMAGE"));
  expect(starts).toBe(1);
  await desk.take({ case: "removeContainer", value: { containerId: "c1" } });
  await desk.addWorker();
  expect(starts).toBe(2);
});

test("a container with a name of no sane length is dropped, and its name is repeated nowhere", async () => {
  let starts = 0;
  const desk = openDesk(() => {
    starts += 1;
    return NEVER;
  });
  await desk.addWorker("c".repeat(100_000));
  expect([starts, desk.reports.length]).toEqual([0, 0]);
  await desk.addWorker("c".repeat(256));
  expect(starts).toBe(1);
});

test("an allocation whose outputs have no place that can be fails before anything is begun for it", async () => {
  const asked: string[] = [];
  const blobs: BlobStore = {
    ...FULL,
    checkWrite: (uri) => {
      asked.push(uri);
      return Promise.reject(new ExecutorError("ARTIFACT_KEY_INVALID", { key: uri, reason: "it is outside" }));
    },
    beginWrite: () => {
      throw new Error("begun");
    },
  };
  const desk = openDesk(() => NEVER, undefined, blobs);
  await desk.addWorker();
  const allocation = {
    ...{ allocationId: "a1", containerId: "c1", functionCallId: "call", requestId: "r", function: FUNCTION },
    ...{ requestDataPayloadUriPrefix: "file:///x/r", requestErrorPayloadUriPrefix: "file:///d/r" },
  };
  await desk.take({ case: "runAllocation", value: { allocation } });
  expect(asked).toEqual(["file:///x/r.a1.output"]);
  const outcomes = desk.reports.flatMap((report) =>
    report.type === "outcome" ? [report.message.outcome] : [],
  );
  expect(outcomes).toMatchObject([
    { case: "failed", value: { allocationId: "a1", reason: AllocationFailureReason.INTERNAL_ERROR } },
  ]);
});

test("an allocation of a function that may not run here is refused as one that no other try helps, and once", async () => {
  const asked: unknown[] = [];
  const desk = openDesk(
    () => NEVER,
    (wanted) => {
      asked.push(wanted);
      return false;
    },
  );
  await desk.addWorker();
  const allocation = {
    ...{ allocationId: "a1", containerId: "c1", functionCallId: "call", requestId: "r" },
    function: { namespace: "n", applicationName: "a", functionName: "f" },
    ...{ requestDataPayloadUriPrefix: "file:///d/r", requestErrorPayloadUriPrefix: "file:///d/r" },
  };
  await desk.take({ case: "runAllocation", value: { allocation } });
  await desk.take({ case: "runAllocation", value: { allocation } });
  const outcomes = desk.reports.flatMap((report) =>
    report.type === "outcome" ? [report.message.outcome] : [],
  );
  expect(outcomes).toMatchObject([
    {
      case: "failed",
      value: { allocationId: "a1", reason: AllocationFailureReason.CONSTRAINT_UNSATISFIABLE },
    },
  ]);
  expect(asked).toEqual([{ namespace: "n", application: "a", name: "f", version: "v" }]);
  expect(desk.ended).toHaveLength(1);
  expect(desk.ended[0]).toMatchObject({
    ...{ allocationId: "a1", container: { id: "c1" }, home: undefined, story: undefined, isDrained: false },
  });
});

test("an allocation whose place for a request error cannot be had fails at once, and its worker is not to blame", async () => {
  const desk = openDesk(() => NEVER);
  await desk.addWorker();
  await desk.take({
    case: "runAllocation",
    value: {
      allocation: {
        ...{
          allocationId: "a1",
          containerId: "c1",
          functionCallId: "call",
          requestId: "r",
          function: FUNCTION,
        },
        ...{ requestDataPayloadUriPrefix: "file:///d/r", requestErrorPayloadUriPrefix: "file:///d/r" },
      },
    },
  });
  const outcomes = desk.reports.flatMap((report) =>
    report.type === "outcome" ? [report.message.outcome] : [],
  );
  expect(outcomes).toMatchObject([
    { case: "failed", value: { allocationId: "a1", reason: AllocationFailureReason.INTERNAL_ERROR } },
  ]);
  // The record says what the server is not told.
  expect(desk.ended.map(({ story }) => story)).toMatchObject([{ startedAtMs: undefined, cause: REFUSED }]);
  expect(outcomes[0]?.case === "failed" && outcomes[0].value.containerId).toBeUndefined();
  expect(desk.ends()).toEqual([]);
});

test("each allocation that is over is told of once: for a container that nobody knows, given up, and gone with the host", async () => {
  const untilAborted = (_uri: string, signal: AbortSignal): Promise<never> =>
    new Promise((_resolve, reject) => {
      signal.addEventListener("abort", () => reject(signal.reason as Error), { once: true });
    });
  const blobs: BlobStore = { ...FULL, beginWrite: untilAborted };
  const desk = openDesk((_order, signal) => untilAborted("", signal), undefined, blobs);
  await desk.addWorker();
  for (const [allocationId, containerId] of [
    ["lost", "c2"],
    ["killed", "c1"],
    ["drained", "c1"],
  ] as const) {
    const allocation = {
      ...{ allocationId, containerId, functionCallId: "call", requestId: "r", function: FUNCTION },
      ...{ requestDataPayloadUriPrefix: "file:///d/r", requestErrorPayloadUriPrefix: "file:///d/r" },
    };
    await desk.take({ case: "runAllocation", value: { allocation } });
  }
  expect(desk.ended).toMatchObject([{ allocationId: "lost", container: undefined, story: undefined }]);
  await desk.clock.advance(5);
  await desk.take({ case: "killAllocation", value: { allocationId: "killed" } });
  expect(desk.ended.slice(1)).toMatchObject([
    {
      ...{ allocationId: "killed", container: { id: "c1" }, isDrained: false },
      outcome: { outcome: { value: { reason: AllocationFailureReason.ALLOCATION_CANCELLED } } },
    },
  ]);
  const [, killed] = desk.ended;
  expect((killed?.endedAtMs ?? 0) - (killed?.fetchedAtMs ?? 0)).toBe(5);
  const toldBefore = desk.reports.length;
  await desk.end();
  expect(desk.ended.slice(2)).toMatchObject([{ allocationId: "drained", isDrained: true }]);
  expect(desk.reports).toHaveLength(toldBefore);
});

test("X6: desired is what the server wants and observed what there is of it: also a worker that was taken back and still ends, and not one that is to come", async () => {
  let isDead = (): void => undefined;
  const desk = openDesk(() =>
    Promise.resolve({
      ...{ address: "127.0.0.1:1", isOfImage: false, ended: NEVER },
      kill: () =>
        new Promise<void>((resolve) => {
          isDead = resolve;
        }),
    }),
  );
  const [c1, c2] = ["c1", "c2"].map((id) => ({ id, function: "n:a:f:v" }));
  await desk.addWorker("c1");
  await desk.addWorker("c2");
  expect(desk.desired()).toEqual({ containers: [c1, c2], allocations: [] });
  expect(desk.observed().containers).toEqual([c1, c2].map((one) => ({ ...one, state: "starting" })));

  await desk.take({ case: "removeContainer", value: { containerId: "c1" } });
  expect(desk.desired().containers).toEqual([c2]);
  expect(desk.observed().containers[0]).toEqual({ ...c1, state: "stopping" });
  // Wanted anew while its predecessor still ends.
  await desk.addWorker("c1");
  const allocation = {
    ...{ allocationId: "a1", containerId: "c1", functionCallId: "call", requestId: "r", function: FUNCTION },
    ...{ requestDataPayloadUriPrefix: "file:///d/r", requestErrorPayloadUriPrefix: "file:///d/r" },
  };
  await desk.take({ case: "runAllocation", value: { allocation } });
  const wanted = { id: "a1", containerId: "c1", requestId: "r" };
  expect(desk.desired()).toEqual({ containers: [c2, c1], allocations: [wanted] });
  expect(desk.observed()).toMatchObject({
    containers: [{ id: "c1", state: "stopping" }, c2],
    allocations: [],
  });
  await desk.take({ case: "removeContainer", value: { containerId: "c1" } });
  isDead();
  await settle();
  expect(desk.desired().containers).toEqual([c2]);
  expect(desk.observed().containers).toEqual([{ ...c2, state: "starting" }]);
});

test("X6: a worker that has ended by itself is still wanted, and observed with the reason", async () => {
  const desk = openDesk(() => Promise.resolve(endsAtOnce({ type: "exited", exitCode: 1 }, false)));
  await desk.addWorker();
  const container = { id: "c1", function: "n:a:f:v" };
  expect(desk.desired().containers).toEqual([container]);
  expect(desk.observed().containers).toEqual([
    { ...container, state: "terminated", reason: "STARTUP_FAILED_INTERNAL_ERROR" },
  ]);
});

test("a command that is refused is named in the log by its number, by whom it is for, and by what is wrong with it", async () => {
  const told: unknown[] = [];
  const log: Log = { log: (_level, event, fields) => told.push({ event, ...fields }) };
  const desk = openDesk(() => NEVER, undefined, undefined, log);
  const container = { id: "wrong", containerType: ContainerType.FUNCTION, maxConcurrency: 0 };
  await desk.take({ case: "addContainer", value: { container } });
  await desk.take({ case: "runAllocation", value: { allocation: { allocationId: "a", containerId: "c" } } });
  await desk.take({ case: "removeContainer", value: {} });
  const event = "indexify.command-refused";
  expect(told).toMatchObject([
    { event, command: "addContainer", seq: "1", containerId: "wrong" },
    { event, command: "runAllocation", seq: "2", containerId: "c", allocationId: "a" },
    { event, command: "removeContainer", seq: "3", faults: ["container_id is missing"] },
  ]);
  expect(told[0]).toMatchObject({
    faults: expect.arrayContaining(["container.max_concurrency is 0"]) as string[],
  });
});
