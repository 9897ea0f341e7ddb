import type { MessageInitShape } from "@bufbuild/protobuf";
import { create, toBinary } from "@bufbuild/protobuf";
import type { AllocationCompletedSchema, AllocationOutcome } from "../../../gen/executor_api_pb.js";
import {
  AllocationFailureReason,
  AllocationOutcomeSchema,
  DataPayloadSchema,
} from "../../../gen/executor_api_pb.js";
import type { AllocationResult } from "../../../gen/function_executor_pb.js";
import {
  AllocationOutcomeCode as WorkerCode,
  AllocationFailureReason as WorkerReason,
} from "../../../gen/function_executor_pb.js";
import type { AllocationOrder } from "../commands/orders.ts";
import { payloadFaults, reportFaults } from "../link/report-faults.ts";
import type { AllocationBlobs } from "./allocation-blobs.ts";
import { argumentsEnd, endOf, payloadOf, updatesOf } from "./convert.ts";

type ReturnValue = MessageInitShape<typeof AllocationCompletedSchema>["returnValue"];
type Payload = MessageInitShape<typeof DataPayloadSchema>;

/** As of a call (`contracts/indexify.md` 5.6): an outcome points to bytes, it does not hold them. */
const OUTCOME_LIMIT_BYTES = 1_048_576;

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

/** What an outcome is made with. */
export interface OutcomeParts {
  readonly writes: AllocationBlobs;
  readonly durationMs: bigint;
  readonly signal: AbortSignal;
  /** Why the outcome is INTERNAL_ERROR, of which the server is told no more. */
  onFault(fault: unknown): void;
}

/**
 * A worker's result as the server's outcome. The blobs that it names become whole before this resolves: an outcome never
 * points to nothing (`contracts/indexify.md` 5.9, 5.10).
 */
export async function outcomeOfResult(
  order: AllocationOrder,
  result: AllocationResult,
  parts: OutcomeParts,
): Promise<AllocationOutcome> {
  const outcome = await toOutcome(order, result, parts);
  // What lacks something, or is larger than any honest worker makes it, would be refused with everything that goes with it.
  const faults = reportFaults({ type: "outcome", message: outcome });
  if (faults.length > 0) return internal(order, parts, `its worker's result lacks ${faults.join(", ")}`);
  if (toBinary(AllocationOutcomeSchema, outcome).length > OUTCOME_LIMIT_BYTES)
    return internal(order, parts, `its worker's result is larger than ${OUTCOME_LIMIT_BYTES} bytes`);
  return outcome;
}

function internal(
  order: AllocationOrder,
  { durationMs, onFault }: OutcomeParts,
  fault: unknown,
): AllocationOutcome {
  onFault(fault);
  return failed(order, AllocationFailureReason.INTERNAL_ERROR, { durationMs });
}

async function toOutcome(
  order: AllocationOrder,
  result: AllocationResult,
  parts: OutcomeParts,
): Promise<AllocationOutcome> {
  if (result.outcomeCode === WorkerCode.SUCCESS) return await success(order, result, parts);
  if (result.outcomeCode !== WorkerCode.FAILURE)
    return internal(order, parts, "its worker did not say how it ended");
  const reason = failureReason(result.failureReason);
  if (reason === AllocationFailureReason.INTERNAL_ERROR)
    parts.onFault("its worker says that it failed for a reason of its own: see the worker's log");
  const requestError = await requestErrorOf(result, parts);
  return failed(order, reason, {
    durationMs: parts.durationMs,
    ...(requestError === undefined ? {} : { requestError }),
  });
}

async function success(
  order: AllocationOrder,
  { outputs, uploadedFunctionOutputsBlob: blob }: AllocationResult,
  parts: OutcomeParts,
): Promise<AllocationOutcome> {
  const { writes, durationMs, signal } = parts;
  if (blob !== undefined) {
    try {
      await writes.complete(blob, signal, claimOf(outputs));
    } catch (error) {
      return internal(order, parts, error);
    }
  }
  const uri = writes.uriOf(blob?.id);
  if (outputs.case === "updates") {
    return completed(order, { case: "updates", value: updatesOf(outputs.value, uri) }, durationMs);
  }
  if (outputs.case !== "value") return completed(order, undefined, durationMs);
  return completed(order, { case: "value", value: payloadOf(outputs.value, uri ?? "") }, durationMs);
}

/** How far into its blob what a worker returns reaches. */
function claimOf(outputs: AllocationResult["outputs"]): bigint {
  if (outputs.case === "value") return endOf(outputs.value);
  return outputs.case === "updates" ? argumentsEnd(outputs.value) : 0n;
}

/** An error without its words is still that error. */
async function requestErrorOf(
  { requestErrorOutput, uploadedRequestErrorBlob: blob }: AllocationResult,
  { writes, signal }: Pick<OutcomeParts, "writes" | "signal">,
): Promise<Payload | undefined> {
  if (requestErrorOutput === undefined || blob === undefined) return undefined;
  try {
    await writes.complete(blob, signal, endOf(requestErrorOutput));
  } catch {
    return undefined;
  }
  const payload = create(DataPayloadSchema, payloadOf(requestErrorOutput, writes.uriOf(blob.id) ?? ""));
  return payloadFaults("request_error", payload).length === 0 ? payload : undefined;
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
