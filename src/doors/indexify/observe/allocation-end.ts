import type { AllocationEnd } from "../../../core/index.ts";
import type { AllocationOutcome } from "../../../gen/executor_api_pb.js";
import { AllocationFailureReason } from "../../../gen/executor_api_pb.js";

/** How an outcome is counted: what a function did itself, took too long or refused, is its error. */
export function allocationEnd({ outcome }: AllocationOutcome): AllocationEnd {
  if (outcome.case === "completed") return "success";
  switch (outcome.value?.reason) {
    case AllocationFailureReason.FUNCTION_ERROR:
    case AllocationFailureReason.FUNCTION_TIMEOUT:
    case AllocationFailureReason.REQUEST_ERROR:
      return "function_error";
    case AllocationFailureReason.INTERNAL_ERROR:
      return "internal_error";
    case AllocationFailureReason.ALLOCATION_CANCELLED:
      return "alloc_cancelled";
    case AllocationFailureReason.CONTAINER_TERMINATED:
    case AllocationFailureReason.OOM:
    case AllocationFailureReason.STARTUP_FAILED_INTERNAL_ERROR:
    case AllocationFailureReason.STARTUP_FAILED_FUNCTION_ERROR:
    case AllocationFailureReason.STARTUP_FAILED_FUNCTION_TIMEOUT:
    case AllocationFailureReason.STARTUP_FAILED_BAD_IMAGE:
      return "function_executor_terminated";
    default:
      return "unknown";
  }
}
