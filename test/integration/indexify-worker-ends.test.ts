import { create, type MessageInitShape } from "@bufbuild/protobuf";
import type {
  ServerUnaryCall,
  ServerWritableStream,
  sendUnaryData,
  UntypedServiceImplementation,
} from "@grpc/grpc-js";
import { expect, test } from "vitest";
import type { BlobStore, Log, SandboxEnd } from "../../src/core/index.ts";
import { NO_INDEXIFY_OBSERVER } from "../../src/core/index.ts";
import { Desk } from "../../src/doors/indexify/desk/desk.ts";
import type { Report } from "../../src/doors/indexify/link/report-queue.ts";
import { WORKER_TIMES, type WorkerTimes } from "../../src/doors/indexify/worker/worker.ts";
import {
  type AllocationFailed,
  AllocationFailureReason,
  CommandSchema,
  ContainerTerminationReason,
  ContainerType,
  DataPayloadEncoding,
} from "../../src/gen/executor_api_pb.js";
import type {
  CreateAllocationRequest,
  WatchAllocationStateRequest,
} from "../../src/gen/function_executor_pb.js";
import { EmptySchema, InfoResponseSchema } from "../../src/gen/function_executor_pb.js";
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
  /** The allocations with whose failures the server was told that the worker is dead. */
  blamedWorker(): readonly string[];
}

interface Asked {
  readonly methods?: UntypedServiceImplementation;
  readonly times?: Partial<WorkerTimes>;
  readonly allocationTimeoutMs?: number;
  readonly log?: Log;
}

/** A desk with one worker that takes one allocation at a time. */
function openWorld({
  methods = endless,
  times = {},
  allocationTimeoutMs = 0,
  log = silentLog,
}: Asked = {}): World {
  const workers = new StubWorkers(methods);
  let proxy: TcpProxy | undefined;
  let tell: (end: SandboxEnd) => void = () => undefined;
  const reports: Report[] = [];
  let seq = 0n;
  const desk = new Desk({
    ...{ clock: systemClock, blobs: BLOBS, log, observer: NO_INDEXIFY_OBSERVER },
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
  const failed = (): readonly AllocationFailed[] =>
    reports.flatMap((report) =>
      report.type === "outcome" && report.message.outcome.case === "failed"
        ? [report.message.outcome.value]
        : [],
    );
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
        failed().map(({ allocationId, reason }) => [allocationId, AllocationFailureReason[reason]] as const);
      await poll("all have failed", () => told().length === count || `${told().length} have`);
      return Object.fromEntries(told());
    },
    blamedWorker: () =>
      failed().flatMap(({ allocationId, containerId }) => (containerId === undefined ? [] : [allocationId])),
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
  let isWatched = false;
  const watch = (): void => {
    isWatched = true;
  };
  await using world = openWorld({
    methods: { watch_allocation_state: watch },
    times: { endNewsMs: 3_600_000 },
  });
  world.run("runs");
  await poll("it runs", () => isWatched || "not yet");
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

const STEPS = ["create", "watch"] as const;
/** Every status but OK. */
const CODES = Array.from({ length: 16 }, (_, index) => index + 1);

/** A worker in which each allocation fails at the step, and with the status, that its id names, and who then is dead or lives. */
function failing(state: { isDead: boolean }, afterFailure: () => void = () => undefined) {
  const trouble = (id = "", step: string): { readonly code: number } | null => {
    const [failingStep, code] = id.split("-");
    if (failingStep !== step) return null;
    afterFailure();
    return { code: Number(code) };
  };
  const dead = { code: 14 };
  return {
    get_info: (_: unknown, done: sendUnaryData<unknown>): void =>
      state.isDead ? done(dead) : done(null, create(InfoResponseSchema, { sdkVersion: "stub" })),
    create_allocation: (
      { request }: ServerUnaryCall<CreateAllocationRequest, unknown>,
      done: sendUnaryData<unknown>,
    ): void => done(trouble(request.allocation?.allocationId, "create"), create(EmptySchema)),
    watch_allocation_state: (call: ServerWritableStream<WatchAllocationStateRequest, unknown>): void => {
      call.emit("error", trouble(call.request.allocationId, "watch"));
    },
  };
}

test("in a worker that lives, whatever the status, an allocation that cannot be begun is this host's failure and one that is lost from sight is its function's; the worker is kept", async () => {
  await using world = openWorld({ methods: failing({ isDead: false }), times: { endNewsMs: 3_600_000 } });
  const ids = STEPS.flatMap((step) => CODES.map((code) => `${step}-${code}`));
  for (const id of ids) world.run(id);
  expect(await world.failures(ids.length)).toEqual(
    Object.fromEntries(
      ids.map((id) => [id, id.startsWith("create") ? "INTERNAL_ERROR" : "FUNCTION_ERROR"] as const),
    ),
  );
  expect(world.blamedWorker()).toEqual([]);
  expect(world.workers.live).toEqual(["c1"]);
});

/** Those with which connections end, and some with which they do not. */
const LAST_CODES = [1, 2, 5, 7, 8, 13, 14];

test.for(STEPS.flatMap((step) => LAST_CODES.map((code) => `${step}-${code}`)))(
  "%s: the failure of a worker that is dead says how it died, and who waits behind it is repeated for free",
  async (id) => {
    const state = { isDead: false };
    let isTold = false;
    const die = (): void => {
      state.isDead = true;
      if (isTold) return;
      isTold = true;
      world.run("waits");
      setTimeout(() => world.tell({ type: "memory", limitBytes: 1 }), 100);
    };
    await using world = openWorld({ methods: failing(state, die) });
    world.run(id);
    expect(await world.failures(2)).toEqual({ [id]: "OOM", waits: "CONTAINER_TERMINATED" });
    expect(world.blamedWorker().toSorted()).toEqual([id, "waits"].toSorted());
    expect(await world.workerEnd()).toBe("OOM");
  },
);

test("a worker of a release that speaks another protocol is told of before it has its function", async () => {
  const told: unknown[] = [];
  const log: Log = { log: (_level, event, fields) => told.push({ event, ...fields }) };
  const get_info = (_: unknown, done: sendUnaryData<unknown>): void =>
    done(null, create(InfoResponseSchema, { sdkVersion: "0.5.162" }));
  await using world = openWorld({ methods: { ...endless, get_info }, log });
  world.run("runs");
  await poll("it runs", () => world.workers.runs.has("runs") || "not yet");
  expect(told.slice(0, 2)).toMatchObject([
    { event: "indexify.worker-version", sdkVersion: "0.5.162" },
    { event: "indexify.worker-started" },
  ]);
});
