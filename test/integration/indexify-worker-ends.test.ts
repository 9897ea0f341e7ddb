import { create, type MessageInitShape } from "@bufbuild/protobuf";
import type { UntypedServiceImplementation } from "@grpc/grpc-js";
import { expect, test } from "vitest";
import type { BlobStore, SandboxEnd } from "../../src/core/index.ts";
import { NO_INDEXIFY_OBSERVER } from "../../src/core/index.ts";
import { Desk } from "../../src/doors/indexify/desk/desk.ts";
import type { Report } from "../../src/doors/indexify/link/report-queue.ts";
import { WORKER_TIMES, type WorkerTimes } from "../../src/doors/indexify/worker/worker.ts";
import {
  AllocationFailureReason,
  CommandSchema,
  ContainerTerminationReason,
  ContainerType,
  DataPayloadEncoding,
} from "../../src/gen/executor_api_pb.js";
import { systemClock } from "../../src/std/index.ts";
import { silentLog } from "../../src/telemetry/silent-log.ts";
import { StubWorkers } from "../support/indexify/stub-workers.ts";
import { poll } from "../support/poll.ts";
import { openTcpProxy, type TcpProxy } from "../support/tcp-proxy.ts";

const FUNCTION = { namespace: "n", applicationName: "a", functionName: "f", applicationVersion: "v" };

/** A store that takes everything, and keeps nothing. */
const BLOBS: BlobStore = {
  size: () => Promise.resolve(undefined),
  readUri: (uri) => Promise.resolve(uri),
  checkWrite: () => Promise.resolve(),
  beginWrite: (uri) =>
    Promise.resolve({
      uri,
      partUri: () => Promise.resolve(uri),
      complete: () => Promise.resolve(),
      abort: () => Promise.resolve(),
    }),
  read: () => Promise.reject(new Error("nothing is kept")),
  [Symbol.asyncDispose]: () => Promise.resolve(),
};

/** One that runs for as long as its worker lives. */
const endless = { watch_allocation_state: (): void => undefined };

interface World extends AsyncDisposable {
  readonly workers: StubWorkers;
  /** Its connections break; it lives, and takes others. */
  breakOff(): void;
  /** It is dead: its connections break, and there are no others. Nobody is told. */
  die(): void;
  /** What is told of how it ended. */
  tell(end: SandboxEnd): void;
  run(allocationId: string): void;
  cancel(allocationId: string): void;
  phaseOf(allocationId: string): string;
  /** The end of its worker, once that is told. */
  workerEnd(): Promise<string>;
  /** Why each allocation failed, once all have. */
  failures(count: number): Promise<Readonly<Record<string, string>>>;
}

interface Asked {
  readonly methods?: UntypedServiceImplementation;
  readonly times?: Partial<WorkerTimes>;
  readonly allocationTimeoutMs?: number;
}

/** A desk with one worker that takes one allocation at a time. */
function openWorld({ methods = endless, times = {}, allocationTimeoutMs = 0 }: Asked = {}): World {
  const workers = new StubWorkers(methods);
  let proxy: TcpProxy | undefined;
  let tell: (end: SandboxEnd) => void = () => undefined;
  const reports: Report[] = [];
  let seq = 0n;
  const desk = new Desk({
    ...{ clock: systemClock, blobs: BLOBS, log: silentLog, observer: NO_INDEXIFY_OBSERVER },
    onAllocationEnd: () => undefined,
    isAllowed: () => true,
    code: { read: () => Promise.resolve(Buffer.from("c")) },
    workerTimes: { ...WORKER_TIMES, healthMs: undefined, ...times },
    async launch(order, signal) {
      const worker = await workers.launch(order, signal);
      proxy = await openTcpProxy(Number(worker.address.split(":")[1]));
      const ended = new Promise<SandboxEnd>((resolve) => {
        tell = resolve;
      });
      return { ...worker, address: `127.0.0.1:${proxy.port}`, ended };
    },
    launchSandbox: () => Promise.reject(new Error("no sandboxes run here")),
    report: (report) => reports.push(report),
  });
  const take = (command: NonNullable<MessageInitShape<typeof CommandSchema>["command"]>): void => {
    seq += 1n;
    desk.take(create(CommandSchema, { seq, command }));
  };
  const container = {
    ...{ id: "c1", containerType: ContainerType.FUNCTION, function: FUNCTION },
    application: {
      ...{ uri: "file:///code", size: 1n, sha256Hash: "ab", encodingVersion: 0n },
      encoding: DataPayloadEncoding.BINARY_ZIP,
    },
    ...{ initializationTimeoutMs: 0, allocationTimeoutMs, maxConcurrency: 1 },
  };
  take({ case: "addContainer", value: { container } });
  return {
    workers,
    breakOff: () => proxy?.reset(),
    die: () => {
      const dead = proxy;
      proxy = undefined;
      dead?.reset();
      dead?.[Symbol.asyncDispose]().then(undefined, () => undefined);
    },
    tell: (end) => tell(end),
    run(allocationId) {
      const places = {
        requestDataPayloadUriPrefix: "file:///d/r",
        requestErrorPayloadUriPrefix: "file:///d/r",
      };
      const ids = { allocationId, containerId: "c1", functionCallId: allocationId, requestId: "r" };
      take({ case: "runAllocation", value: { allocation: { ...ids, ...places, function: FUNCTION } } });
    },
    cancel: (allocationId) => take({ case: "killAllocation", value: { allocationId } }),
    phaseOf: (allocationId) =>
      desk.allocations.find(({ order }) => order.id === allocationId)?.phase ?? "none",
    async workerEnd() {
      const told = (): string | undefined => {
        for (const report of reports)
          if (report.type === "response" && report.message.response.case === "containerTerminated")
            return ContainerTerminationReason[report.message.response.value.reason];
        return undefined;
      };
      await poll("the worker's end is told", () => told() !== undefined || "not yet");
      return told() ?? "";
    },
    async failures(count) {
      const told = (): readonly (readonly [string, string])[] =>
        reports.flatMap((report) => {
          if (report.type !== "outcome" || report.message.outcome.case !== "failed") return [];
          const { allocationId, reason } = report.message.outcome.value;
          return [[allocationId, AllocationFailureReason[reason]] as const];
        });
      await poll("all have failed", () => told().length === count || `${told().length} have`);
      return Object.fromEntries(told());
    },
    async [Symbol.asyncDispose]() {
      await desk.end();
      await proxy?.[Symbol.asyncDispose]();
      await workers[Symbol.asyncDispose]();
    },
  };
}

/** One allocation runs, and another waits for its slot. */
async function runTwo(world: World): Promise<void> {
  world.run("runs");
  await poll("one runs", () => world.workers.runs.has("runs") || "not yet");
  world.run("waits");
  await poll("the other waits", () => world.phaseOf("waits") === "waiting" || "not yet");
}

test.for([
  [{ type: "memory", limitBytes: 1 }, "OOM", "OOM"],
  [{ type: "exited", exitCode: 1 }, "FUNCTION_ERROR", "PROCESS_CRASH"],
  [{ type: "stopped" }, "CONTAINER_TERMINATED", "FUNCTION_CANCELLED"],
] as const)(
  "an allocation that waits for a slot is not charged with the end of its worker, here %o, though that is told late",
  async ([end, reason, workerReason]) => {
    await using world = openWorld();
    await runTwo(world);
    world.die();
    setTimeout(() => world.tell(end), 300);
    expect(await world.failures(2)).toEqual({ runs: reason, waits: "CONTAINER_TERMINATED" });
    expect(await world.workerEnd()).toBe(workerReason);
    expect([...world.workers.runs.keys()]).toEqual(["runs"]);
  },
);

test("an allocation that waits for a slot is not charged with the timeout of the one before it", async () => {
  await using world = openWorld({ allocationTimeoutMs: 5_000 });
  await runTwo(world);
  expect(await world.failures(2)).toEqual({ runs: "FUNCTION_TIMEOUT", waits: "CONTAINER_TERMINATED" });
  expect([...world.workers.runs.keys()]).toEqual(["runs"]);
});

test("an allocation that waits for a slot is not cancelled with the one before it", async () => {
  await using world = openWorld();
  await runTwo(world);
  world.cancel("runs");
  expect(await world.failures(2)).toEqual({ runs: "ALLOCATION_CANCELLED", waits: "CONTAINER_TERMINATED" });
  expect([...world.workers.runs.keys()]).toEqual(["runs"]);
});

test("an end that is told long after the connection broke is still told as what it was", async () => {
  await using world = openWorld();
  await runTwo(world);
  world.die();
  setTimeout(() => world.tell({ type: "memory", limitBytes: 1 }), 2_500);
  expect(await world.failures(2)).toEqual({ runs: "OOM", waits: "CONTAINER_TERMINATED" });
  expect(await world.workerEnd()).toBe("OOM");
});

test("the news of an end is not waited for where the worker answers again", async () => {
  await using world = openWorld({ times: { endNewsMs: 3_600_000 } });
  world.run("runs");
  await poll("it runs", () => world.workers.runs.has("runs") || "not yet");
  world.breakOff();
  expect(await world.failures(1)).toEqual({ runs: "FUNCTION_ERROR" });
});

test("a worker that is evicted while it loads its function is nobody's failure, though that is told after its connection broke", async () => {
  let isLoading = false;
  const initialize = (): void => {
    isLoading = true;
  };
  await using world = openWorld({ methods: { initialize } });
  world.run("waits");
  await poll("it loads its function", () => isLoading || "not yet");
  world.die();
  setTimeout(() => world.tell({ type: "stopped" }), 300);
  expect(await world.workerEnd()).toBe("FUNCTION_CANCELLED");
  expect(await world.failures(1)).toEqual({ waits: "CONTAINER_TERMINATED" });
});
