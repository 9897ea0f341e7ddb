import type { MessageInitShape } from "@bufbuild/protobuf";
import { create } from "@bufbuild/protobuf";
import { expect, test } from "vitest";
import type {
  AllocationFailedSchema,
  CommandResponseSchema,
  DataplaneStateFullSyncSchema,
} from "../../../src/gen/executor_api_pb.js";
import {
  AllocationFailureReason,
  ContainerStatus,
  ContainerTerminationReason,
  DataPayloadEncoding,
  ExecutorStatus,
  GPUModel,
  HeartbeatRequestSchema,
} from "../../../src/gen/executor_api_pb.js";
import { heartbeatFaults, ITEMS_LIMIT_BYTES } from "./rules.ts";
import type { Call, Payload, Plain } from "./whole-parts.ts";
import { CALL, COMMON, FUNCTION, PAYLOAD } from "./whole-parts.ts";

type Init = Plain<typeof HeartbeatRequestSchema>;
type State = Plain<typeof DataplaneStateFullSyncSchema>;
type Failed = Plain<typeof AllocationFailedSchema>;
type Response = NonNullable<MessageInitShape<typeof CommandResponseSchema>["response"]>;

const HOST = { cpuCount: 1, memoryBytes: 1n, diskBytes: 1n };
const CONTAINER = { description: { id: "k" }, status: ContainerStatus.RUNNING };
const STATE: State = { hostname: "h", version: "1", totalContainerResources: HOST };

const living = (more: Init): Init => ({ executorId: "e", status: ExecutorStatus.RUNNING, ...more });
const state = (more: State): Init => living({ fullState: { ...STATE, ...more } });
const respond = (response: Response, commandSeq?: bigint): Init =>
  living({ commandResponses: [commandSeq === undefined ? { response } : { response, commandSeq }] });
const completed = (more: object): Init =>
  living({ allocationOutcomes: [{ outcome: { case: "completed", value: { ...COMMON, ...more } } }] });
const failed = (more: Failed): Init => {
  const value = { ...COMMON, reason: AllocationFailureReason.OOM, ...more };
  return living({ allocationOutcomes: [{ outcome: { case: "failed", value } }] });
};
const value = (more: Payload): Init =>
  completed({ returnValue: { case: "value", value: { ...PAYLOAD, ...more } } });
const entry = (more: Call, allocationId = "1", clock = 0n): Init =>
  living({
    allocationLogEntries: [
      { allocationId, clock, entry: { case: "callFunction", value: { ...CALL, ...more } } },
    ],
  });
const inline = (payload: Payload) => [{ source: { case: "inlineData" as const, value: payload } }];
const gone = undefined as never;

/** Entries of so many bytes each, and responses. */
function large(entries: number, bytes: number, responses = 0): Init {
  const one = { ...CALL, namespace: "n".repeat(bytes) };
  const scheduled = { case: "allocationScheduled" as const, value: { allocationId: "x".repeat(bytes) } };
  return living({
    allocationLogEntries: Array.from({ length: entries }, () => ({
      ...{ allocationId: "1", clock: 0n, entry: { case: "callFunction" as const, value: one } },
    })),
    commandResponses: Array.from({ length: responses }, () => ({ commandSeq: 1n, response: scheduled })),
  });
}

const faults = (init: Init): readonly string[] => heartbeatFaults(create(HeartbeatRequestSchema, init));

test.each<readonly [string, Init]>([
  ["nothing to tell", living({})],
  ["STOPPED alone", { executorId: "e", status: ExecutorStatus.STOPPED }],
  [
    "a full state",
    state({ proxyAddress: "host:8095", labels: { region: "x" }, containerStates: [CONTAINER] }),
  ],
  [
    "GPUs",
    state({ totalContainerResources: { ...HOST, gpu: { count: 1, model: GPUModel.GPU_MODEL_NVIDIA_A10 } } }),
  ],
  [
    "a description with empty texts, as it came",
    state({ containerStates: [{ ...CONTAINER, description: { id: "k", poolId: "" } }] }),
  ],
  [
    "a container that is over",
    state({
      containerStates: [
        {
          description: { id: "k" },
          status: ContainerStatus.TERMINATED,
          terminationReason: ContainerTerminationReason.OOM,
        },
      ],
    }),
  ],
  ["a container that has started", respond({ case: "containerStarted", value: { containerId: "k" } })],
  ["a scheduled allocation", respond({ case: "allocationScheduled", value: { allocationId: "1" } }, 1n)],
  [
    "a snapshot",
    respond({
      case: "snapshotCompleted",
      value: { containerId: "k", snapshotId: "s", snapshotUri: "file:///s" },
    }),
  ],
  ["a value of no bytes", value({})],
  ["a failure with words", failed({ requestError: PAYLOAD })],
  [
    "a call",
    entry({
      updates: { updates: [{ op: { case: "functionCall", value: { id: "d", args: inline(PAYLOAD) } } }] },
    }),
  ],
  ["as much as goes", large(2, ITEMS_LIMIT_BYTES / 2 - 1000)],
  ["one of each kind, whatever its size", large(1, ITEMS_LIMIT_BYTES, 1)],
])("keeps the rules: %s", (_, init) => {
  expect(faults(init)).toEqual([]);
});

test.each<readonly [string, Init]>([
  ["3.2: executor_id is missing", { status: ExecutorStatus.RUNNING }],
  ["3.4: status undefined of one that lives", { executorId: "e" }],
  ["3.4: status 3 of one that lives", { executorId: "e", status: ExecutorStatus.DRAINED }],
  ["3.10: reports go with STOPPED", { ...failed({}), status: ExecutorStatus.STOPPED }],
  ["3.10: a full state goes with STOPPED", { ...state({}), status: ExecutorStatus.STOPPED }],
  ["2: full_state.catalog_entry_name is empty, not unset", state({ catalogEntryName: "" })],
  [
    "2: allocation_outcomes.completed.value.source_function_call_id is empty, not unset",
    value({ sourceFunctionCallId: "" }),
  ],
  ["3.2: full_state.hostname is missing", state({ hostname: gone })],
  ["3.2: full_state.version is missing", state({ version: gone })],
  ["3.2: total_container_resources is missing", state({ totalContainerResources: gone })],
  [
    "3.2: total_container_resources.cpu_count is missing",
    state({ totalContainerResources: { ...HOST, cpuCount: gone } }),
  ],
  [
    "3.2: total_container_resources.memory_bytes is missing",
    state({ totalContainerResources: { ...HOST, memoryBytes: gone } }),
  ],
  ["3.2: total_resources.disk_bytes is missing", state({ totalResources: { ...HOST, diskBytes: gone } })],
  [
    "3.2: total_container_resources.gpu has no count or no model",
    state({ totalContainerResources: { ...HOST, gpu: { count: 0, model: GPUModel.GPU_MODEL_NVIDIA_A10 } } }),
  ],
  [
    "3.2: total_resources.gpu has no count or no model",
    state({ totalResources: { ...HOST, gpu: { count: 1, model: GPUModel.GPU_MODEL_UNKNOWN } } }),
  ],
  ["3.2: proxy_address http://host:1 is not host:port", state({ proxyAddress: "http://host:1" })],
  ["3.2: a label without a name", state({ labels: { "": "x" } })],
  [
    "3.2: container_states.description.id is missing",
    state({ containerStates: [{ status: ContainerStatus.RUNNING }] }),
  ],
  ["3.2: container k has no status", state({ containerStates: [{ description: { id: "k" } }] })],
  [
    "3.2: container k is over without a reason",
    state({ containerStates: [{ ...CONTAINER, status: ContainerStatus.TERMINATED }] }),
  ],
  [
    "3.2: container k has a reason and is not over",
    state({ containerStates: [{ ...CONTAINER, terminationReason: ContainerTerminationReason.OOM }] }),
  ],
  ["3.2: a container is there twice", state({ containerStates: [CONTAINER, CONTAINER] })],
  ["3.5: a response without content", living({ commandResponses: [{}] })],
  [
    "2.2: allocation_scheduled without its command_seq",
    respond({ case: "allocationScheduled", value: { allocationId: "1" } }),
  ],
  [
    "3.5: allocation_scheduled.allocation_id is missing",
    respond({ case: "allocationScheduled", value: {} }, 1n),
  ],
  [
    "2.2: containerStarted with a command_seq",
    respond({ case: "containerStarted", value: { containerId: "k" } }, 1n),
  ],
  ["3.5: containerStarted.container_id is missing", respond({ case: "containerStarted", value: {} })],
  [
    "4.5: container_terminated without a reason",
    respond({ case: "containerTerminated", value: { containerId: "k" } }),
  ],
  [
    "3.5: snapshot_completed.snapshot_id is missing",
    respond({ case: "snapshotCompleted", value: { containerId: "k", snapshotUri: "u" } }),
  ],
  [
    "3.5: snapshot_completed.snapshot_uri is missing",
    respond({ case: "snapshotCompleted", value: { containerId: "k", snapshotId: "s" } }),
  ],
  [
    "3.5: snapshot_failed.snapshot_id is missing",
    respond({ case: "snapshotFailed", value: { containerId: "k" } }),
  ],
  ["3.5: log entry.allocation_id is missing", entry({}, "")],
  ["2.2: log entry with clock 7", entry({}, "1", 7n)],
  ["3.5: log entry without call_function", living({ allocationLogEntries: [{ allocationId: "1" }] })],
  ["3.5: call_function.namespace is missing", entry({ namespace: gone })],
  ["3.5: call_function.application is missing", entry({ application: gone })],
  ["3.5: call_function.request_id is missing", entry({ requestId: gone })],
  ["3.5: call_function.source_function_call_id is missing", entry({ sourceFunctionCallId: gone })],
  ["3.5: call_function.updates is missing", entry({ updates: gone })],
  ["3.5: updates.op is missing", entry({ updates: { updates: [{}] } })],
  [
    "3.5: an argument without a source",
    entry({ updates: { updates: [{ op: { case: "functionCall", value: { args: [{}] } } }] } }),
  ],
  [
    "3.5: inline_data.uri is missing",
    entry({
      updates: {
        updates: [{ op: { case: "reduce", value: { collection: inline({ ...PAYLOAD, uri: gone }) } } }],
      },
    }),
  ],
  ["3.5: updates.op is missing", completed({ returnValue: { case: "updates", value: { updates: [{}] } } })],
  ["3.5: an outcome without content", living({ allocationOutcomes: [{}] })],
  ["3.5: failed without a reason", failed({ reason: AllocationFailureReason.UNKNOWN })],
  ["3.5: completed.allocation_id is missing", completed({ allocationId: "" })],
  ["3.5: completed.request_id is missing", completed({ requestId: gone })],
  ["3.5: failed.function_call_id is missing", failed({ functionCallId: gone })],
  ["3.5: failed.function.namespace is missing", failed({ function: { ...FUNCTION, namespace: gone } })],
  [
    "3.5: failed.function.application_name is missing",
    failed({ function: { ...FUNCTION, applicationName: gone } }),
  ],
  [
    "3.5: completed.function.function_name is missing",
    completed({ function: { ...FUNCTION, functionName: gone } }),
  ],
  ["3.5: request_error.sha256_hash is missing", failed({ requestError: { ...PAYLOAD, sha256Hash: gone } })],
  ["3.5: value.uri is missing", value({ uri: gone })],
  ["3.5: value.size is missing", value({ size: gone })],
  ["3.5: value.sha256_hash is missing", value({ sha256Hash: gone })],
  ["3.5: value.encoding is missing", value({ encoding: gone })],
  ["3.5: value.encoding is missing", value({ encoding: DataPayloadEncoding.UNKNOWN })],
  ["2.2: value.sha256_hash is not lower-case hex", value({ sha256Hash: "0A".repeat(32) })],
  ["2.6: value.uri is signed", value({ uri: "https://h/k?a=1&X-Amz-Signature=s" })],
])("notices: %s", (fault, init) => {
  expect(faults(init)).toEqual([fault]);
});

test.each<readonly [string, Init]>([
  ["two of a kind", large(2, ITEMS_LIMIT_BYTES / 2)],
  ["two kinds with several each", large(2, ITEMS_LIMIT_BYTES / 4, 2)],
])("notices more bytes than may go: %s", (_, init) => {
  expect(faults(init)).toEqual([expect.stringMatching(/^3\.5: \d+ bytes of items in one heartbeat$/)]);
});
