import { assertNever } from "../../../core/index.ts";
import type {
  AllocationCompleted,
  AllocationFailed,
  DataPayload,
  ExecutionPlanUpdates,
  FunctionArg,
  FunctionCallRequest,
} from "../../../gen/executor_api_pb.js";
import { DataPayloadEncoding } from "../../../gen/executor_api_pb.js";
import type { Report } from "./report-queue.ts";

/**
 * What the server would choke on: an item that it cannot take in turns the whole heartbeat into an error, and the good ones
 * with it would be sent for ever (`contracts/indexify.md` 3.5). Asked before an item is queued.
 *
 * @returns the fields that are missing, by their names in the protocol; empty when it is whole.
 */
export function reportFaults(report: Report): readonly string[] {
  switch (report.type) {
    case "response":
      return responseFaults(report.message.response);
    case "entry": {
      const { allocationId, entry } = report.message;
      const faults = isPresent("allocation_id", allocationId);
      if (entry.case !== "callFunction") return [...faults, "call_function"];
      return [...faults, ...callFaults(entry.value)];
    }
    case "outcome": {
      const { outcome } = report.message;
      if (outcome.case === "completed") return completedFaults(outcome.value);
      if (outcome.case === "failed") return failedFaults(outcome.value);
      return ["outcome"];
    }
    default:
      return assertNever(report);
  }
}

type Response = Extract<Report, { type: "response" }>["message"]["response"];

function responseFaults(response: Response): readonly string[] {
  switch (response.case) {
    case "snapshotCompleted":
      return [
        ...isPresent("snapshot_id", response.value.snapshotId),
        ...isPresent("snapshot_uri", response.value.snapshotUri),
      ];
    case "snapshotFailed":
      return isPresent("snapshot_id", response.value.snapshotId);
    case "allocationScheduled":
      return isPresent("allocation_id", response.value.allocationId);
    case "containerStarted":
    case "containerTerminated":
      return isPresent("container_id", response.value.containerId);
    case undefined:
      return ["response"];
    default:
      return assertNever(response);
  }
}

function completedFaults(completed: AllocationCompleted): readonly string[] {
  const { returnValue } = completed;
  const faults = commonFaults(completed);
  if (returnValue.case === "value") return [...faults, ...payloadFaults("value", returnValue.value)];
  if (returnValue.case === "updates") return [...faults, ...updatesFaults(returnValue.value)];
  return faults;
}

function failedFaults(failed: AllocationFailed): readonly string[] {
  const error = failed.requestError;
  return [...commonFaults(failed), ...(error === undefined ? [] : payloadFaults("request_error", error))];
}

function commonFaults(outcome: AllocationCompleted | AllocationFailed): readonly string[] {
  return [
    ...isPresent("allocation_id", outcome.allocationId),
    ...isPresent("function.namespace", outcome.function?.namespace),
    ...isPresent("function.application_name", outcome.function?.applicationName),
    ...isPresent("function.function_name", outcome.function?.functionName),
    ...isPresent("function_call_id", outcome.functionCallId),
    ...isPresent("request_id", outcome.requestId),
  ];
}

function callFaults(call: FunctionCallRequest): readonly string[] {
  return [
    ...isPresent("namespace", call.namespace),
    ...isPresent("application", call.application),
    ...isPresent("request_id", call.requestId),
    ...isPresent("source_function_call_id", call.sourceFunctionCallId),
    ...(call.updates === undefined ? ["updates"] : updatesFaults(call.updates)),
  ];
}

function updatesFaults({ updates }: ExecutionPlanUpdates): readonly string[] {
  return updates.flatMap(({ op }) => {
    if (op.case === "functionCall") return op.value.args.flatMap(argFaults);
    if (op.case === "reduce") return op.value.collection.flatMap(argFaults);
    return ["updates.op"];
  });
}

function argFaults({ source }: FunctionArg): readonly string[] {
  if (source.case === "inlineData") return payloadFaults("args", source.value);
  return source.case === undefined ? ["args.source"] : [];
}

/** What every payload must say of itself, whichever way it travels. */
export function payloadFaults(field: string, payload: DataPayload): readonly string[] {
  const { uri, size, sha256Hash, encoding } = payload;
  const isKnown = encoding !== undefined && encoding !== DataPayloadEncoding.UNKNOWN;
  return [
    ...isPresent(`${field}.uri`, uri),
    ...(size === undefined ? [`${field}.size`] : []),
    ...isPresent(`${field}.sha256_hash`, sha256Hash),
    ...(isKnown ? [] : [`${field}.encoding`]),
  ];
}

function isPresent(field: string, value: string | undefined): readonly string[] {
  return value === undefined || value === "" ? [field] : [];
}
