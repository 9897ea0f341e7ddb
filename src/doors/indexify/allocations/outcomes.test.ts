import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { expect, test } from "vitest";
import type { BlobStore, BlobWrite } from "../../../core/index.ts";
import { ExecutorError } from "../../../core/index.ts";
import { AllocationFailureReason, FunctionRefSchema } from "../../../gen/executor_api_pb.js";
import type { AllocationResult } from "../../../gen/function_executor_pb.js";
import {
  AllocationFunctionCallSchema,
  AllocationOutcomeCode,
  AllocationResultSchema,
  AllocationFailureReason as WorkerReason,
} from "../../../gen/function_executor_pb.js";
import type { AllocationOrder } from "../commands/orders.ts";
import { AllocationBlobs } from "./allocation-blobs.ts";
import { FunctionCalls } from "./function-calls.ts";
import { outcomeOfResult } from "./outcomes.ts";

const ref = { namespace: "n", applicationName: "a", functionName: "f" };
const order: AllocationOrder = {
  id: "allocation-1",
  containerId: "container-1",
  function: { namespace: "n", application: "a", name: "f", version: undefined },
  functionRef: create(FunctionRefSchema, ref),
  functionCallId: "call-1",
  requestId: "request-1",
  args: [],
  dataPrefix: "file:///d",
  errorPrefix: "file:///e",
  callMetadata: undefined,
};
const signal = new AbortController().signal;

/** Writes that all come through, but for what is said otherwise. */
async function openWrites(changes: Partial<BlobWrite> = {}): Promise<AllocationBlobs> {
  const store: Pick<BlobStore, "beginWrite"> = {
    beginWrite: (uri) =>
      Promise.resolve({
        uri,
        partUri: () => Promise.resolve(`${uri}.part`),
        complete: () => Promise.resolve(),
        abort: () => Promise.resolve(),
        ...changes,
      }),
  };
  const writes = new AllocationBlobs(store as BlobStore);
  for (const id of ["out", "error"]) await writes.begin(id, `file:///blobs/${id}`, 1n, signal);
  return writes;
}

const WRITTEN = [{ uri: "u", size: 3n, etag: "e" }];
const WHOLE = { encoding: 1, encodingVersion: 0n, size: 3n, metadataSize: 0n, sha256Hash: "ab" } as const;

/** @param faults hears why it is this host's failure, or its worker's own. */
async function outcomeOf(
  result: MessageInitShape<typeof AllocationResultSchema>,
  faults: unknown[] = [],
  writes?: AllocationBlobs,
) {
  const message: AllocationResult = create(AllocationResultSchema, result);
  const { outcome } = await outcomeOfResult(order, message, {
    ...{ writes: writes ?? (await openWrites()), durationMs: 5n, signal },
    onFault: (fault) => faults.push(fault),
  });
  return outcome;
}

const value = (manifest: object) => ({
  outcomeCode: AllocationOutcomeCode.SUCCESS,
  outputs: { case: "value" as const, value: { manifest, offset: 0n } },
  uploadedFunctionOutputsBlob: { id: "out", chunks: WRITTEN },
});

test("a value points to its blob's own URI", async () => {
  expect(await outcomeOf(value(WHOLE))).toMatchObject({
    case: "completed",
    value: { returnValue: { value: { uri: "file:///blobs/out", sha256Hash: "ab", size: 3n } } },
  });
});

test.for([
  ["a value without its digest", value({ ...WHOLE, sha256Hash: "" })],
  [
    "a value in no blob of ours",
    { ...value(WHOLE), uploadedFunctionOutputsBlob: { id: "theirs", chunks: WRITTEN } },
  ],
  ["a digest of two megabytes", value({ ...WHOLE, sha256Hash: "a".repeat(2_000_000) })],
  [
    "a plan with a step that is none",
    { outcomeCode: AllocationOutcomeCode.SUCCESS, outputs: { case: "updates", value: { updates: [{}] } } },
  ],
] as const)("%s would poison the heartbeat: it is an internal error instead", async ([, result]) => {
  const faults: unknown[] = [];
  expect(await outcomeOf(result as MessageInitShape<typeof AllocationResultSchema>, faults)).toMatchObject({
    case: "failed",
    value: { reason: AllocationFailureReason.INTERNAL_ERROR, allocationId: "allocation-1" },
  });
  expect(faults).toHaveLength(1);
});

test("an internal error never goes without its cause: what the store says of a blob, or that the worker says no more", async () => {
  const denied = new ExecutorError("ARTIFACT_STORE_DENIED", { key: "file:///blobs/out", reason: "EACCES" });
  const writes = await openWrites({ complete: () => Promise.reject(denied) });
  const faults: unknown[] = [];
  const reason = AllocationFailureReason.INTERNAL_ERROR;
  expect(await outcomeOf(value(WHOLE), faults, writes)).toMatchObject({ value: { reason } });
  const own = { outcomeCode: AllocationOutcomeCode.FAILURE, failureReason: WorkerReason.INTERNAL_ERROR };
  expect(await outcomeOf(own, faults)).toMatchObject({ value: { reason } });
  expect(faults).toEqual([denied, expect.stringContaining("its worker says")]);
});

test("a request error that cannot be read is still that error, without its words", async () => {
  const outcome = await outcomeOf({
    outcomeCode: AllocationOutcomeCode.FAILURE,
    failureReason: WorkerReason.REQUEST_ERROR,
    requestErrorOutput: { manifest: { size: 3n }, offset: 0n },
    uploadedRequestErrorBlob: { id: "error", chunks: WRITTEN },
  });
  expect(outcome).toMatchObject({ case: "failed", value: { reason: AllocationFailureReason.REQUEST_ERROR } });
  expect(outcome.case === "failed" && outcome.value.requestError).toBeUndefined();
});

test("a call that lacks something is refused to who makes it, and may be made again as it should be", async () => {
  const calls = new FunctionCalls(order, await openWrites());
  const argument = (manifest: object) =>
    create(AllocationFunctionCallSchema, {
      id: "c",
      argsBlob: { id: "out", chunks: WRITTEN },
      updates: {
        rootFunctionCallId: "child",
        updates: [
          {
            op: {
              case: "functionCall",
              value: { id: "child", target: ref, args: [{ source: { case: "value", value: { manifest } } }] },
            },
          },
        ],
      },
    });
  expect(await calls.read(argument({ ...WHOLE, sha256Hash: "" }), signal)).toMatchObject({
    type: "refused",
    message: expect.stringContaining("args.sha256_hash") as string,
  });
  expect(await calls.read(argument(WHOLE), signal)).toMatchObject({ type: "entry" });
});

test.for([
  ["no part", []],
  ["a part without its etag", [{ uri: "u", size: 3n }]],
  ["a part with an etag of no letters", [{ uri: "u", size: 3n, etag: "" }]],
  [
    "only one of two parts with its etag",
    [
      { uri: "u", size: 3n, etag: "e" },
      { uri: "v", size: 1n },
    ],
  ],
  ["a part that is shorter", [{ uri: "u", size: 2n, etag: "e" }]],
] as const)(
  "a value whose blob has %s is never told of: the server would point to nothing",
  async ([, chunks]) => {
    const result = { ...value(WHOLE), uploadedFunctionOutputsBlob: { id: "out", chunks: [...chunks] } };
    expect(await outcomeOf(result)).toMatchObject({
      case: "failed",
      value: { reason: AllocationFailureReason.INTERNAL_ERROR },
    });
  },
);

test("a value of no bytes needs no part", async () => {
  const result = {
    ...value({ ...WHOLE, size: 0n }),
    uploadedFunctionOutputsBlob: { id: "out", chunks: [] },
  };
  expect(await outcomeOf(result)).toMatchObject({ case: "completed" });
});

test("a call whose arguments were not written is refused to who makes it", async () => {
  const calls = new FunctionCalls(order, await openWrites());
  const update = {
    op: {
      case: "reduce" as const,
      value: {
        id: "child",
        reducer: ref,
        collection: [{ source: { case: "value" as const, value: { manifest: WHOLE, offset: 4n } } }],
      },
    },
  };
  const call = create(AllocationFunctionCallSchema, {
    id: "c",
    argsBlob: { id: "out", chunks: WRITTEN },
    updates: { rootFunctionCallId: "child", updates: [update] },
  });
  expect(await calls.read(call, signal)).toMatchObject({
    type: "refused",
    message: expect.stringContaining("7 bytes") as string,
  });
});
