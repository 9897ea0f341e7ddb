import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { expect, test } from "vitest";
import { settle, VirtualClock } from "../../../../test/support/virtual-clock.ts";
import type { BlobStore } from "../../../core/index.ts";
import { ExecutorError, NO_INDEXIFY_OBSERVER } from "../../../core/index.ts";
import {
  AllocationOutcomeCode,
  type FunctionCallResult,
  FunctionCallResultSchema,
  FunctionRefSchema,
} from "../../../gen/executor_api_pb.js";
import type { AllocationState, AllocationUpdateSchema } from "../../../gen/function_executor_pb.js";
import { AllocationStateSchema } from "../../../gen/function_executor_pb.js";
import { RPC_CODES, RpcError } from "../../../std/grpc/rpc-error.ts";
import { orAbort } from "../../../std/index.ts";
import type { AllocationOrder } from "../commands/orders.ts";
import type { WorkerClient } from "../worker/worker-client.ts";
import { AllocationBlobs } from "./allocation-blobs.ts";
import { type RunEnd, runAllocation } from "./run-allocation.ts";

const order: AllocationOrder = {
  id: "a-1",
  containerId: "c-1",
  function: { namespace: "n", application: "a", name: "f", version: undefined },
  functionRef: create(FunctionRefSchema, { namespace: "n", applicationName: "a", functionName: "f" }),
  functionCallId: "call-1",
  requestId: "r-1",
  args: [],
  dataPrefix: "file:///d/r-1",
  errorPrefix: "file:///d/r-1",
  callMetadata: undefined,
};

interface TestRun {
  readonly clock: VirtualClock;
  readonly answers: NonNullable<MessageInitShape<typeof AllocationUpdateSchema>["update"]>[];
  readonly begun: string[];
  readonly completed: string[];
  readonly logged: string[];
  /** What the worker says next of its state. */
  say(state: MessageInitShape<typeof AllocationStateSchema>): Promise<void>;
  child(result: MessageInitShape<typeof FunctionCallResultSchema>): Promise<void>;
  end(): RunEnd | undefined;
}

const WRONG = new ExecutorError("ARTIFACT_STORE_DENIED", { key: "k", reason: "it is full" });

type TestClient = Pick<WorkerClient, "create" | "watch" | "update">;

/** One allocation with ten seconds, in a worker that says what the test says, over a store that may refuse. */
async function openRun(
  over: Partial<BlobStore> = {},
  overClient: Partial<TestClient> = {},
): Promise<TestRun> {
  const clock = new VirtualClock();
  const [answers, begun, completed]: [TestRun["answers"], string[], string[]] = [[], [], []];
  const logged: string[] = [];
  const said: AllocationState[] = [];
  let wake = (): void => undefined;
  const client: TestClient = {
    create: () => Promise.resolve(),
    async *watch(_, signal) {
      for (;;) {
        for (let state = said.shift(); state !== undefined; state = said.shift()) yield state;
        const woken = new Promise<void>((resolve) => {
          wake = resolve;
        });
        await orAbort(woken, signal);
      }
    },
    update: ({ update }) => {
      if (update !== undefined) answers.push(update);
      return Promise.resolve();
    },
    ...overClient,
  };
  const blobs: BlobStore = {
    size: () => Promise.resolve(undefined),
    readUri: (uri) => Promise.resolve(`${uri}?read`),
    checkWrite: () => Promise.resolve(),
    beginWrite: (uri) => {
      begun.push(uri);
      return Promise.resolve({
        uri,
        partUri: (part) => Promise.resolve(`${uri}?part=${part}`),
        complete: () => {
          completed.push(uri);
          return Promise.resolve();
        },
        abort: () => Promise.resolve(),
      });
    },
    read: () => Promise.reject(WRONG),
    [Symbol.asyncDispose]: () => Promise.resolve(),
    ...over,
  };
  let take: (result: FunctionCallResult) => void = () => undefined;
  let end: RunEnd | undefined;
  runAllocation(
    {
      ...{ order, inputs: {}, client: client as WorkerClient, blobs, writes: new AllocationBlobs(blobs) },
      ...{
        clock,
        log: { log: (_level, event) => void logged.push(event) },
        observer: NO_INDEXIFY_OBSERVER,
        timeoutMs: 10_000,
      },
      onLogEntry: () => undefined,
      onResults: (taking) => {
        take = taking;
      },
    },
    new AbortController().signal,
  ).then(
    (how) => {
      end = how;
    },
    () => undefined,
  );
  await settle();
  return {
    ...{ clock, answers, begun, completed, logged },
    say: async (state) => {
      said.push(create(AllocationStateSchema, state));
      wake();
      await settle();
    },
    child: async (result) => {
      take(create(FunctionCallResultSchema, result));
      await settle();
    },
    end: () => end,
  };
}

const waiting = (...ids: readonly string[]) => ({
  functionCallWatchers: ids.map((id) => ({
    id,
    watcherId: id,
    rootFunctionCallId: "child",
    functionCallId: "child",
  })),
});
const CHILD = {
  functionCallId: "child",
  outcomeCode: AllocationOutcomeCode.SUCCESS,
  returnValue: { uri: "file:///d/v", size: 3n, offset: 2n, sha256Hash: "ab", encoding: 1 },
};

test("a blob that cannot be begun is answered with its id, or its function would wait for it", async () => {
  const run = await openRun({ beginWrite: () => Promise.reject(WRONG) });
  await run.say({ outputBlobRequests: [{ id: "out", size: 5n }] });
  await run.say({ outputBlobRequests: [{ id: "out", size: 5n }] });
  expect(run.answers).toMatchObject([
    { case: "outputBlob", value: { status: { code: RPC_CODES.internal }, blob: { id: "out" } } },
  ]);
});

test("a blob has a place of its allocation's own, and is asked for once however often it is listed", async () => {
  const run = await openRun();
  await run.say({ outputBlobRequests: [{ id: "out", size: 0n }] });
  await run.say({ outputBlobRequests: [{ id: "out", size: 0n }] });
  expect(run.begun).toEqual(["file:///d/r-1.a-1.output_out"]);
  expect(run.answers).toMatchObject([
    { value: { status: { code: 0 }, blob: { id: "out", chunks: [{ size: 0n }] } } },
  ]);
});

test("a child's result is brought to every wait once, with both ids: early, together, and again to who waits anew", async () => {
  const run = await openRun();
  await run.child(CHILD);
  expect(run.answers).toEqual([]);
  await run.say(waiting("w1", "w2"));
  await run.say(waiting("w2"));
  await run.say({});
  await run.say(waiting("w3"));
  await run.child(CHILD);
  const told = run.answers.map(({ value }) => value);
  expect(told).toMatchObject(
    ["w1", "w2", "w3"].map((watcherId) => ({
      ...{ watcherId, functionCallId: "child", valueOutput: { offset: 2n } },
      valueBlob: { id: "fc-result", chunks: [{ uri: "file:///d/v?read", size: 5n }] },
    })),
  );
});

test("a result whose link cannot be had is a failed call, never half an answer, and the log says why", async () => {
  const run = await openRun({ readUri: () => Promise.reject(WRONG) });
  await run.say(waiting("w1"));
  await run.child(CHILD);
  const [answer] = run.answers;
  expect(answer?.value).toMatchObject({ outcomeCode: 2, watcherId: "w1" });
  expect(answer?.value).not.toHaveProperty("valueOutput");
  expect(run.logged).toEqual(["indexify.answer-failed"]);
});

test("time stands still while a wait is open and begins anew after it; only news of progress moves it on", async () => {
  const run = await openRun();
  await run.clock.advance(9_000);
  await run.say(waiting("w1"));
  await run.clock.advance(60_000);
  expect(run.end()).toBeUndefined();
  await run.child(CHILD);
  await run.say({});
  await run.clock.advance(9_000);
  await run.say({ progress: { current: 1, total: 3 } });
  await run.clock.advance(9_000);
  expect(run.end()).toBeUndefined();
  // The same again is no news.
  await run.say({ progress: { current: 1, total: 3 } });
  await run.clock.advance(1_500);
  expect(run.end()).toEqual({ type: "timeout" });
});

test("state: an absent key, a store that fails and a write that nobody prepared are three things, each in its own kind", async () => {
  const read = {
    operationId: "o1",
    stateKey: "a/b ü",
    operation: { case: "prepareRead", value: {} },
  } as const;
  const absent = await openRun();
  await absent.say({ requestStateOperations: [read] });
  expect(absent.answers).toMatchObject([
    {
      value: {
        operationId: "o1",
        status: { code: RPC_CODES.notFound },
        result: { case: "prepareRead", value: {} },
      },
    },
  ]);
  const broken = await openRun({ size: () => Promise.reject(WRONG) });
  await broken.say({ requestStateOperations: [read] });
  expect(broken.answers).toMatchObject([
    { value: { status: { code: RPC_CODES.internal }, result: { case: "prepareRead", value: {} } } },
  ]);
  const run = await openRun();
  const commit = (operationId: string, id: string) => ({
    operationId,
    operation: {
      case: "commitWrite" as const,
      value: { blob: { id, chunks: [{ uri: "u", size: 1n, etag: "e" }] } },
    },
  });
  await run.say({ requestStateOperations: [commit("o1", "never")] });
  const write = {
    operationId: "o2",
    stateKey: "a/b ü",
    operation: { case: "prepareWrite", value: { size: 1n } },
  } as const;
  await run.say({ requestStateOperations: [write] });
  // A commit stays listed until its answer is read.
  for (let times = 0; times < 2; times += 1) await run.say({ requestStateOperations: [commit("o3", "o2")] });
  expect(run.answers.map(({ value }) => value)).toMatchObject([
    { status: { code: RPC_CODES.notFound }, result: { case: "commitWrite" } },
    { status: { code: 0 }, result: { case: "prepareWrite", value: { blob: { id: "o2" } } } },
    { status: { code: 0 }, result: { case: "commitWrite" } },
  ]);
  expect(run.begun).toEqual(["file:///d/r-1/state/a%2Fb%20%C3%BC"]);
  expect(run.completed).toEqual(run.begun);
});

/** Every status but OK. */
const CODES = Array.from({ length: 16 }, (_, index) => index + 1);

test.each(CODES)("an allocation that its worker refuses with status %i is the host's", async (code) => {
  const create = (): Promise<never> => Promise.reject(new RpcError(code, "no"));
  const run = await openRun({}, { create });
  expect(run.end()).toMatchObject({ type: "broken", blame: "host" });
});

test.each(CODES)(
  "an allocation whose state breaks off with status %i is its function's, after three more looks if nobody knows why",
  async (code) => {
    let looks = 0;
    const watch: TestClient["watch"] = () => {
      looks += 1;
      return broken(new RpcError(code, "no"));
    };
    const run = await openRun({}, { watch });
    expect(run.end()).toMatchObject({ type: "broken", blame: "function" });
    expect(looks).toBe(code === RPC_CODES.unknown ? 4 : 1);
  },
);

test("a state that ends without a result is its function's; one that this host cannot read is not", async () => {
  const silent = await openRun({}, { watch: () => broken() });
  expect(silent.end()).toMatchObject({ type: "broken", blame: "function" });
  const defect = await openRun({}, { watch: () => broken(new TypeError("a defect of ours")) });
  expect(defect.end()).toMatchObject({ type: "broken", blame: "host" });
});

/** The state of an allocation of which nothing is heard; it ends with the error, or by itself. */
async function* broken(error?: Error): AsyncIterable<AllocationState> {
  if (error !== undefined) throw error;
  yield* [];
}
