import type {
  AttemptPlace,
  AttemptRecord,
  CallEnd,
  ErrorCode,
  ReceiptSink,
  TaskSpec,
} from "../../../core/index.ts";
import { ExecutorError, taskKey } from "../../../core/index.ts";
import type { AllocationOutcome } from "../../../gen/executor_api_pb.js";
import { AllocationFailureReason } from "../../../gen/executor_api_pb.js";
import type { AllocationStory } from "../allocations/allocation-task.ts";
import type { ContainerOrder } from "../commands/orders.ts";
import type { WorkerHome } from "../worker/worker.ts";

/** An allocation that is over. Times are the clock's milliseconds. */
export interface EndedAllocation {
  readonly allocationId: string;
  /** As the server is told, unless this host is ending. */
  readonly outcome: AllocationOutcome;
  /** That it was for; `undefined` for one that nobody knows here. */
  readonly container: ContainerOrder | undefined;
  /** `undefined` for a worker that never ran. */
  readonly home: WorkerHome | undefined;
  /** `undefined` for one that never came to a worker. */
  readonly story: AllocationStory | undefined;
  readonly fetchedAtMs: number;
  readonly endedAtMs: number;
  /** It went with this host's end, whatever its outcome says. */
  readonly isDrained: boolean;
}

export interface RecordAllocationsOptions {
  readonly receipts: ReceiptSink;
  /** What is asked for a container that has no worker. */
  taskOf(container: ContainerOrder | undefined): TaskSpec;
  /** A name that nothing else of this host has. */
  newId(): string;
}

/** A server that gives out longer names has its allocations found by what they begin with. */
const NAME_LENGTH = 200;

/**
 * Hands every allocation that is over to the receipts. What it used of its worker is not known: others may run in it meanwhile,
 * and how many of its processes are whose nobody tells. The worker's own record says what all of them used.
 */
export function recordAllocations(options: RecordAllocationsOptions): (ended: EndedAllocation) => void {
  return (ended) => options.receipts.record(recordOf(ended, options));
}

/** Of one that never came to a worker. */
const NOWHERE: AllocationStory = {
  ...{ startedAtMs: undefined, workedAtMs: undefined, isCold: true, bytesIn: 0, bytesOut: 0 },
  cause: undefined,
};

/** The server may ask for one again after a restart of this host: its id alone is not enough of a name. */
function recordOf(
  {
    allocationId,
    outcome,
    container,
    home,
    story = NOWHERE,
    fetchedAtMs,
    endedAtMs,
    isDrained,
  }: EndedAllocation,
  { taskOf, newId }: RecordAllocationsOptions,
): AttemptRecord {
  const task = home?.task ?? taskOf(container);
  const { startedAtMs: placedAtMs, workedAtMs: headAtMs, bytesIn, bytesOut, cause } = story;
  const { end, error } = isDrained ? DRAINED : endOf(outcome, cause);
  return {
    id: `${allocationId.slice(0, NAME_LENGTH).replace(/[^\w.-]/g, "_")}~${newId()}`,
    door: "indexify",
    task,
    taskKey: taskKey(task),
    place: placeOf(home, story),
    gpuIds: home?.gpuIds ?? [],
    times: { acceptedAtMs: fetchedAtMs, placedAtMs, headAtMs, endedAtMs, start: undefined },
    use: undefined,
    bytesIn,
    bytesOut,
    outcome: end,
    status: undefined,
    error,
  };
}

function placeOf(home: WorkerHome | undefined, story: AllocationStory): AttemptPlace | undefined {
  if (home === undefined || story.startedAtMs === undefined) return undefined;
  const { sandboxId, isolation, imageDigest } = home;
  return { sandboxId, isolation, imageDigest, start: story.isCold ? "cold" : "warm" };
}

interface RecordedEnd {
  readonly end: CallEnd;
  readonly error: ExecutorError | undefined;
}

const DRAINED: RecordedEnd = { end: "cancelled", error: new ExecutorError("DRAINING") };

function endOf({ outcome }: AllocationOutcome, cause: ExecutorError | undefined): RecordedEnd {
  if (outcome.case === "completed") return { end: "answered", error: undefined };
  const { value } = outcome;
  const reason = value?.reason ?? AllocationFailureReason.UNKNOWN;
  if (reason === AllocationFailureReason.INTERNAL_ERROR && cause !== undefined)
    return { end: "failed", error: cause };
  const error = new ExecutorError(codeOf(reason, value?.containerId), {
    reason: AllocationFailureReason[reason],
  });
  return { end: error.code === "CALL_CANCELLED" ? "cancelled" : "failed", error };
}

/** What its outcome says, in the words of all doors. */
const CODES: Readonly<Record<AllocationFailureReason, ErrorCode>> = {
  [AllocationFailureReason.UNKNOWN]: "INTERNAL",
  [AllocationFailureReason.INTERNAL_ERROR]: "INTERNAL",
  [AllocationFailureReason.FUNCTION_ERROR]: "FUNCTION_FAILED",
  [AllocationFailureReason.FUNCTION_TIMEOUT]: "RUN_TIMEOUT",
  [AllocationFailureReason.REQUEST_ERROR]: "FUNCTION_FAILED",
  [AllocationFailureReason.ALLOCATION_CANCELLED]: "CALL_CANCELLED",
  [AllocationFailureReason.CONTAINER_TERMINATED]: "SANDBOX_LOST",
  [AllocationFailureReason.OOM]: "TASK_OUT_OF_MEMORY",
  [AllocationFailureReason.CONSTRAINT_UNSATISFIABLE]: "SANDBOX_START_FAILED",
  [AllocationFailureReason.EXECUTOR_REMOVED]: "DRAINING",
  [AllocationFailureReason.STARTUP_FAILED_INTERNAL_ERROR]: "SANDBOX_START_FAILED",
  [AllocationFailureReason.STARTUP_FAILED_FUNCTION_ERROR]: "SANDBOX_EXITED_EARLY",
  [AllocationFailureReason.STARTUP_FAILED_FUNCTION_TIMEOUT]: "START_TIMEOUT",
  [AllocationFailureReason.STARTUP_FAILED_BAD_IMAGE]: "IMAGE_UNUSABLE",
};

/** The server is told the same of what a function raised and of a worker that died under it; only the latter names its worker. */
function codeOf(reason: AllocationFailureReason, containerId: string | undefined): ErrorCode {
  const hasDied = containerId !== undefined;
  return reason === AllocationFailureReason.FUNCTION_ERROR && hasDied ? "TASK_EXITED" : CODES[reason];
}
