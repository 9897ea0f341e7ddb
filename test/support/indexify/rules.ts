import { ScalarType, toBinary } from "@bufbuild/protobuf";
import { type ReflectMessage, reflect } from "@bufbuild/protobuf/reflect";
import { FeatureSet_FieldPresence } from "@bufbuild/protobuf/wkt";
import type {
  AllocationCompleted,
  AllocationFailed,
  AllocationLogEntry,
  AllocationOutcome,
  CommandResponse,
  ContainerState,
  DataPayload,
  DataplaneStateFullSync,
  ExecutionPlanUpdates,
  FunctionArg,
  FunctionCallRequest,
  HeartbeatRequest,
  HostResources,
} from "../../../src/gen/executor_api_pb.js";
import {
  AllocationFailureReason,
  AllocationLogEntrySchema,
  AllocationOutcomeSchema,
  CommandResponseSchema,
  ContainerDescriptionSchema,
  ContainerStatus,
  ContainerTerminationReason,
  DataPayloadEncoding,
  ExecutorStatus,
  GPUModel,
  HeartbeatRequestSchema,
} from "../../../src/gen/executor_api_pb.js";

/** Of the encoded items of one heartbeat (3.5). */
export const ITEMS_LIMIT_BYTES = 10 * 1024 * 1024;

/**
 * The rules of `contracts/indexify.md` that one heartbeat can break by itself, whatever was said before. Written from the
 * contract, not from the daemon: nothing of the daemon's own is used here but the messages' shapes.
 *
 * @returns each rule that is broken, with the section that gives it; empty when none is.
 */
export function heartbeatFaults(request: HeartbeatRequest): readonly string[] {
  const { fullState } = request;
  return [
    ...(isThere(request.executorId) ? [] : ["3.2: executor_id is missing"]),
    ...statusFaults(request),
    ...sizeFaults(request),
    ...emptyTexts(request).map((path) => `2: ${path} is empty, not unset`),
    ...(fullState === undefined ? [] : fullStateFaults(fullState)),
    ...request.commandResponses.flatMap(responseFaults),
    ...request.allocationLogEntries.flatMap(entryFaults),
    ...request.allocationOutcomes.flatMap(outcomeFaults),
  ];
}

/** The items of a heartbeat as they go over the wire, each kind in its order. */
export function encodedItems(request: HeartbeatRequest): Readonly<Record<ItemKind, readonly Uint8Array[]>> {
  return {
    responses: request.commandResponses.map((item) => toBinary(CommandResponseSchema, item)),
    entries: request.allocationLogEntries.map((item) => toBinary(AllocationLogEntrySchema, item)),
    outcomes: request.allocationOutcomes.map((item) => toBinary(AllocationOutcomeSchema, item)),
  };
}

export const ITEM_KINDS = ["responses", "entries", "outcomes"] as const;
export type ItemKind = (typeof ITEM_KINDS)[number];

function statusFaults(request: HeartbeatRequest): readonly string[] {
  if (request.status === ExecutorStatus.RUNNING) return [];
  if (request.status !== ExecutorStatus.STOPPED) return [`3.4: status ${request.status} of one that lives`];
  const hasReports = ITEM_KINDS.some((kind) => encodedItems(request)[kind].length > 0);
  return [
    ...(hasReports ? ["3.10: reports go with STOPPED"] : []),
    ...(request.fullState === undefined ? [] : ["3.10: a full state goes with STOPPED"]),
  ];
}

/** One item of each kind may always go. So where a kind has more than one, all that goes of such kinds has to fit. */
function sizeFaults(request: HeartbeatRequest): readonly string[] {
  const items = encodedItems(request);
  const bytes = ITEM_KINDS.map((kind) => items[kind])
    .filter((kind) => kind.length > 1)
    .flat()
    .reduce((sum, { length }) => sum + length, 0);
  return bytes > ITEMS_LIMIT_BYTES ? [`3.5: ${bytes} bytes of items in one heartbeat`] : [];
}

function fullStateFaults(state: DataplaneStateFullSync): readonly string[] {
  const { totalResources, totalContainerResources, proxyAddress, containerStates } = state;
  const ids = containerStates.map(({ description }) => description?.id);
  return [
    ...missing("3.2: full_state", { hostname: state.hostname, version: state.version }),
    ...(totalContainerResources === undefined
      ? ["3.2: total_container_resources is missing"]
      : hostFaults("total_container_resources", totalContainerResources)),
    ...(totalResources === undefined ? [] : hostFaults("total_resources", totalResources)),
    ...(proxyAddress === undefined || /^[^\s/]+:\d{1,5}$/.test(proxyAddress)
      ? []
      : [`3.2: proxy_address ${proxyAddress} is not host:port`]),
    ...("" in state.labels ? ["3.2: a label without a name"] : []),
    ...containerStates.flatMap(containerFaults),
    ...(new Set(ids).size < ids.length ? ["3.2: a container is there twice"] : []),
  ];
}

/** What makes a server refuse the registration, on every heartbeat. */
export function hostFaults(field: string, host: HostResources): readonly string[] {
  const { cpuCount, memoryBytes, diskBytes, gpu } = host;
  const { count = 0, model = GPUModel.GPU_MODEL_UNKNOWN } = gpu ?? {};
  const isGpu = gpu === undefined || (count > 0 && model !== GPUModel.GPU_MODEL_UNKNOWN);
  return [
    ...unset(`3.2: ${field}`, { cpu_count: cpuCount, memory_bytes: memoryBytes, disk_bytes: diskBytes }),
    ...(isGpu ? [] : [`3.2: ${field}.gpu has no count or no model`]),
  ];
}

function containerFaults({ description, status, terminationReason }: ContainerState): readonly string[] {
  const id = description?.id;
  const isOver = status === ContainerStatus.TERMINATED;
  const hasReason =
    terminationReason !== undefined && terminationReason !== ContainerTerminationReason.UNKNOWN;
  return [
    ...missing("3.2: container_states.description", { id }),
    ...((status ?? ContainerStatus.UNKNOWN) === ContainerStatus.UNKNOWN
      ? [`3.2: container ${id} has no status`]
      : []),
    ...(isOver && !hasReason ? [`3.2: container ${id} is over without a reason`] : []),
    ...(!isOver && terminationReason !== undefined
      ? [`3.2: container ${id} has a reason and is not over`]
      : []),
  ];
}

function responseFaults({ commandSeq, response }: CommandResponse): readonly string[] {
  if (response.case === undefined) return ["3.5: a response without content"];
  if (response.case === "allocationScheduled") {
    return [
      ...missing("3.5: allocation_scheduled", { allocation_id: response.value.allocationId }),
      ...((commandSeq ?? 0n) > 0n ? [] : ["2.2: allocation_scheduled without its command_seq"]),
    ];
  }
  return [
    ...(commandSeq === undefined ? [] : [`2.2: ${response.case} with a command_seq`]),
    ...missing(`3.5: ${response.case}`, { container_id: response.value.containerId }),
    ...contentFaults(response),
  ];
}

function contentFaults(response: CommandResponse["response"]): readonly string[] {
  switch (response.case) {
    case "containerTerminated":
      return response.value.reason === ContainerTerminationReason.UNKNOWN
        ? ["4.5: container_terminated without a reason"]
        : [];
    case "snapshotCompleted":
      return missing("3.5: snapshot_completed", {
        snapshot_id: response.value.snapshotId,
        snapshot_uri: response.value.snapshotUri,
      });
    case "snapshotFailed":
      return missing("3.5: snapshot_failed", { snapshot_id: response.value.snapshotId });
    default:
      return [];
  }
}

function entryFaults({ allocationId, clock, entry }: AllocationLogEntry): readonly string[] {
  return [
    ...missing("3.5: log entry", { allocation_id: allocationId }),
    ...(clock === 0n ? [] : [`2.2: log entry with clock ${clock}`]),
    ...(entry.case === "callFunction" ? callFaults(entry.value) : ["3.5: log entry without call_function"]),
  ];
}

function callFaults(call: FunctionCallRequest): readonly string[] {
  const { namespace, application, requestId, sourceFunctionCallId, updates } = call;
  return [
    ...missing("3.5: call_function", {
      ...{ namespace, application },
      request_id: requestId,
      source_function_call_id: sourceFunctionCallId,
    }),
    ...(updates === undefined ? ["3.5: call_function.updates is missing"] : planFaults(updates)),
  ];
}

function outcomeFaults({ outcome }: AllocationOutcome): readonly string[] {
  if (outcome.case === undefined) return ["3.5: an outcome without content"];
  const common = commonFaults(outcome.case, outcome.value);
  if (outcome.case === "failed") {
    const { reason, requestError } = outcome.value;
    return [
      ...common,
      ...(reason === AllocationFailureReason.UNKNOWN ? ["3.5: failed without a reason"] : []),
      ...(requestError === undefined ? [] : payloadFaults("request_error", requestError)),
    ];
  }
  const { returnValue } = outcome.value;
  if (returnValue.case === "value") return [...common, ...payloadFaults("value", returnValue.value)];
  return returnValue.case === "updates" ? [...common, ...planFaults(returnValue.value)] : common;
}

function commonFaults(what: string, outcome: AllocationCompleted | AllocationFailed): readonly string[] {
  return missing(`3.5: ${what}`, {
    allocation_id: outcome.allocationId,
    "function.namespace": outcome.function?.namespace,
    "function.application_name": outcome.function?.applicationName,
    "function.function_name": outcome.function?.functionName,
    request_id: outcome.requestId,
    function_call_id: outcome.functionCallId,
  });
}

function planFaults({ updates }: ExecutionPlanUpdates): readonly string[] {
  return updates.flatMap(({ op }) => {
    if (op.case === undefined) return ["3.5: updates.op is missing"];
    return (op.case === "reduce" ? op.value.collection : op.value.args).flatMap(argumentFaults);
  });
}

function argumentFaults({ source }: FunctionArg): readonly string[] {
  if (source.case === undefined) return ["3.5: an argument without a source"];
  return source.case === "inlineData" ? payloadFaults("inline_data", source.value) : [];
}

/** A part's own address ends after some days; what a server keeps is the blob's. */
const SIGNED = /[?&]X-Amz-/i;

function payloadFaults(field: string, payload: DataPayload): readonly string[] {
  const { uri, size, sha256Hash, encoding } = payload;
  const isHash = sha256Hash === undefined || /^[0-9a-f]{64}$/.test(sha256Hash);
  return [
    ...missing(`3.5: ${field}`, { uri, sha256_hash: sha256Hash }),
    ...unset(`3.5: ${field}`, { size }),
    ...((encoding ?? DataPayloadEncoding.UNKNOWN) === DataPayloadEncoding.UNKNOWN
      ? [`3.5: ${field}.encoding is missing`]
      : []),
    ...(isHash ? [] : [`2.2: ${field}.sha256_hash is not lower-case hex`]),
    ...(uri !== undefined && SIGNED.test(uri) ? [`2.6: ${field}.uri is signed`] : []),
  ];
}

function isThere(text: string | undefined): boolean {
  return text !== undefined && text !== "";
}

function missing(where: string, fields: Readonly<Record<string, string | undefined>>): readonly string[] {
  return Object.entries(fields).flatMap(([name, text]) =>
    isThere(text) ? [] : [`${where}.${name} is missing`],
  );
}

function unset(where: string, fields: Readonly<Record<string, unknown>>): readonly string[] {
  return Object.entries(fields).flatMap(([name, value]) =>
    value === undefined ? [`${where}.${name} is missing`] : [],
  );
}

/** Where a text that may be left out is empty instead. What only says again what the server said is not looked at. */
function emptyTexts(request: HeartbeatRequest): readonly string[] {
  return textsOf(reflect(HeartbeatRequestSchema, request), "");
}

function textsOf(message: ReflectMessage, path: string): readonly string[] {
  if (message.desc.typeName === ContainerDescriptionSchema.typeName) return [];
  return message.fields.flatMap((field) => {
    if (!message.isSet(field)) return [];
    const name = path === "" ? field.name : `${path}.${field.name}`;
    if (field.fieldKind === "message") return textsOf(message.get(field), name);
    if (field.fieldKind === "list") {
      if (field.listKind !== "message") return [];
      return [...message.get(field)].flatMap((item) => textsOf(item as ReflectMessage, name));
    }
    const isText = field.fieldKind === "scalar" && field.scalar === ScalarType.STRING;
    if (!isText || field.presence !== FeatureSet_FieldPresence.EXPLICIT) return [];
    return message.get(field) === "" ? [name] : [];
  });
}
