import type { MessageInitShape } from "@bufbuild/protobuf";
import { create } from "@bufbuild/protobuf";
import type {
  AllocationCompletedSchema,
  AllocationOutcome,
  DataPayloadSchema,
} from "../../../gen/executor_api_pb.js";
import { AllocationFailureReason, AllocationOutcomeSchema } from "../../../gen/executor_api_pb.js";
import type { AllocationResult } from "../../../gen/function_executor_pb.js";
import {
  AllocationOutcomeCode as WorkerCode,
  AllocationFailureReason as WorkerReason,
} from "../../../gen/function_executor_pb.js";
import type { AllocationOrder } from "../commands/orders.ts";
import { payloadFaults } from "../link/report-faults.ts";
import type { AllocationBlobs } from "./allocation-blobs.ts";
import { payloadOf, updatesOf } from "./convert.ts";

type ReturnValue = MessageInitShape<typeof AllocationCompletedSchema>["returnValue"];
type Payload = MessageInitShape<typeof DataPayloadSchema>;

/** What is known of a failure besides its reason. */
export interface FailureFacts {
  readonly durationMs?: bigint;
  readonly requestError?: Payload;
  /** Set only if the worker is dead: the server takes it for dead then. */
  readonly deadContainerId?: string;
}

export function completed(
  order: AllocationOrder,
  returnValue: ReturnValue,
  durationMs: bigint,
): AllocationOutcome {
  const value = { ...commonOf(order), executionDurationMs: durationMs };
  return create(AllocationOutcomeSchema, {
    outcome: { case: "completed", value: returnValue === undefined ? value : { ...value, returnValue } },
  });
}

export function failed(
  order: AllocationOrder,
  reason: AllocationFailureReason,
  { durationMs, requestError, deadContainerId }: FailureFacts = {},
): AllocationOutcome {
  return create(AllocationOutcomeSchema, {
    outcome: {
      case: "failed",
      value: {
        ...commonOf(order),
        reason,
        ...(durationMs === undefined ? {} : { executionDurationMs: durationMs }),
        ...(requestError === undefined ? {} : { requestError }),
        ...(deadContainerId === undefined ? {} : { containerId: deadContainerId }),
      },
    },
  });
}

/**
 * A worker's result as the server's outcome. The blobs that it names become whole before this resolves: an outcome never
 * points to nothing (`contracts/indexify.md` 5.9, 5.10).
 */
export async function outcomeOfResult(
  order: AllocationOrder,
  result: AllocationResult,
  writes: AllocationBlobs,
  durationMs: bigint,
  signal: AbortSignal,
): Promise<AllocationOutcome> {
  if (result.outcomeCode === WorkerCode.SUCCESS)
    return await success(order, result, writes, durationMs, signal);
  if (result.outcomeCode !== WorkerCode.FAILURE) {
    return failed(order, AllocationFailureReason.INTERNAL_ERROR, { durationMs });
  }
  const requestError = await requestErrorOf(result, writes, signal);
  return failed(order, failureReason(result.failureReason), {
    durationMs,
    ...(requestError === undefined ? {} : { requestError }),
  });
}

async function success(
  order: AllocationOrder,
  { outputs, uploadedFunctionOutputsBlob: blob }: AllocationResult,
  writes: AllocationBlobs,
  durationMs: bigint,
  signal: AbortSignal,
): Promise<AllocationOutcome> {
  const internal = (): AllocationOutcome =>
    failed(order, AllocationFailureReason.INTERNAL_ERROR, { durationMs });
  if (blob !== undefined) {
    try {
      await writes.complete(blob, signal);
    } catch {
      return internal();
    }
  }
  const uri = writes.uriOf(blob?.id);
  if (outputs.case === "updates") {
    return completed(order, { case: "updates", value: updatesOf(outputs.value, uri) }, durationMs);
  }
  if (outputs.case !== "value") return completed(order, undefined, durationMs);
  const value = payloadOf(outputs.value, uri ?? "");
  const outcome = completed(order, { case: "value", value }, durationMs);
  return isWhole(outcome) ? outcome : internal();
}

/** An error without its words is still that error. */
async function requestErrorOf(
  { requestErrorOutput, uploadedRequestErrorBlob: blob }: AllocationResult,
  writes: AllocationBlobs,
  signal: AbortSignal,
): Promise<Payload | undefined> {
  if (requestErrorOutput === undefined || blob === undefined) return undefined;
  try {
    await writes.complete(blob, signal);
  } catch {
    return undefined;
  }
  return payloadOf(requestErrorOutput, writes.uriOf(blob.id) ?? "");
}

function isWhole({ outcome }: AllocationOutcome): boolean {
  if (outcome.case !== "completed" || outcome.value.returnValue.case !== "value") return true;
  return payloadFaults("value", outcome.value.returnValue.value).length === 0;
}

/** The two protocols number the same reasons differently. */
function failureReason(reason: WorkerReason | undefined): AllocationFailureReason {
  if (reason === WorkerReason.FUNCTION_ERROR) return AllocationFailureReason.FUNCTION_ERROR;
  if (reason === WorkerReason.REQUEST_ERROR) return AllocationFailureReason.REQUEST_ERROR;
  return AllocationFailureReason.INTERNAL_ERROR;
}

function commonOf(order: AllocationOrder) {
  return {
    allocationId: order.id,
    function: order.functionRef,
    functionCallId: order.functionCallId,
    requestId: order.requestId,
  };
}
