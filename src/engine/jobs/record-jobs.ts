import type {
  AttemptDoor,
  AttemptRecord,
  AttemptTimes,
  CallEnd,
  DoorName,
  JobStory,
  Observer,
  ReceiptSink,
} from "../../core/index.ts";
import { ExecutorError, NO_OBSERVER } from "../../core/index.ts";

/** Gives every attempt at a job to the receipts, once, when it is over. Room that was given back unused is no attempt. */
export function recordJobs(receipts: ReceiptSink): Observer {
  return {
    ...NO_OBSERVER,
    jobEnded: (job) => {
      if (job.end !== "unused") receipts.record(recordOf(job));
    },
  };
}

/**
 * Its id is the job's with the attempt's number; its `answer` is the run of its command and the collection of its files. A
 * worker is started anew under its name in this life and the next, and nobody counts: its sandbox tells its attempts apart.
 */
function recordOf(job: JobStory): AttemptRecord {
  const { sandboxId, isolation, imageDigest, usage, startedAtMs } = job;
  const hasPlace = startedAtMs !== undefined && isolation !== undefined && imageDigest !== undefined;
  return {
    id: `${job.mark.jobId}~${job.door === "indexify" ? sandboxId : job.mark.attempt}`,
    door: attemptDoor(job.door),
    task: job.task,
    taskKey: job.taskKey,
    place: hasPlace ? { sandboxId, isolation, imageDigest, start: "cold" } : undefined,
    gpuIds: job.gpuIds,
    times: timesOf(job),
    // What it had used at some time before its end is not what it used.
    use:
      usage === undefined || usage.isEarlier === true
        ? undefined
        : { type: "known", cpuMs: usage.cpuMs, memoryPeakBytes: usage.memoryPeakBytes },
    bytesIn: job.bytesIn,
    bytesOut: job.bytesOut,
    outcome: outcomeOf(job),
    status: undefined,
    error: job.error,
  };
}

function attemptDoor(door: DoorName): AttemptDoor {
  return door === "http" ? "v1" : door;
}

function outcomeOf({ end, error }: JobStory): CallEnd {
  if (end === "done") return "answered";
  if (error instanceof ExecutorError && error.code === "CALL_CANCELLED") return "cancelled";
  return end === "killed" || end === "lease" || end === "drain" ? "cancelled" : "failed";
}

function timesOf(job: JobStory): AttemptTimes {
  const { acceptedAtMs, beganAtMs, resolvedAtMs, startedAtMs, endedAtMs = acceptedAtMs } = job;
  const phases =
    startedAtMs === undefined || resolvedAtMs === undefined
      ? undefined
      : { createMs: 0, startMs: startedAtMs - resolvedAtMs, readyMs: 0 };
  return {
    acceptedAtMs,
    placedAtMs: startedAtMs,
    headAtMs: startedAtMs,
    endedAtMs,
    start: beganAtMs === undefined ? undefined : { beganAtMs, resolvedAtMs, endedAtMs: startedAtMs, phases },
  };
}
