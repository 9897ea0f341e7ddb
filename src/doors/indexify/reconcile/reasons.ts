import { AllocationFailureReason, ContainerTerminationReason } from "../../../gen/executor_api_pb.js";

/** What the death of a worker means for an allocation that ran in it (`contracts/indexify.md` 4.7). */
export function failureOfRunning(reason: ContainerTerminationReason): AllocationFailureReason {
  switch (reason) {
    case ContainerTerminationReason.UNHEALTHY:
    case ContainerTerminationReason.PROCESS_CRASH:
      return AllocationFailureReason.FUNCTION_ERROR;
    case ContainerTerminationReason.INTERNAL_ERROR:
      return AllocationFailureReason.INTERNAL_ERROR;
    case ContainerTerminationReason.FUNCTION_TIMEOUT:
      return AllocationFailureReason.FUNCTION_TIMEOUT;
    case ContainerTerminationReason.OOM:
      return AllocationFailureReason.OOM;
    default:
      return failureOfWaiting(reason);
  }
}

/** The same for one that had not begun: the server runs it again without counting a retry, unless the start itself failed. */
export function failureOfWaiting(reason: ContainerTerminationReason): AllocationFailureReason {
  switch (reason) {
    case ContainerTerminationReason.STARTUP_FAILED_INTERNAL_ERROR:
      return AllocationFailureReason.STARTUP_FAILED_INTERNAL_ERROR;
    case ContainerTerminationReason.STARTUP_FAILED_FUNCTION_ERROR:
      return AllocationFailureReason.STARTUP_FAILED_FUNCTION_ERROR;
    case ContainerTerminationReason.STARTUP_FAILED_FUNCTION_TIMEOUT:
      return AllocationFailureReason.STARTUP_FAILED_FUNCTION_TIMEOUT;
    case ContainerTerminationReason.STARTUP_FAILED_BAD_IMAGE:
      return AllocationFailureReason.STARTUP_FAILED_BAD_IMAGE;
    default:
      return AllocationFailureReason.CONTAINER_TERMINATED;
  }
}
