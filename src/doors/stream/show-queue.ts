import type { Queue } from "../../contract/v1/queue.ts";
import { jobOver } from "../../engine/jobs/job-ending.ts";
import type { StreamDoorOptions } from "./door-options.ts";
import type { HeldJob } from "./held-job.ts";
import type { JobShift } from "./job-shift.ts";

const NO_FIGURES: Queue["figures"] = {
  claimed: 0,
  takenOver: 0,
  released: 0,
  committed: 0,
  lost: 0,
  deadLettered: 0,
  vanished: 0,
  reconnects: 0,
  emptied: 0,
  buffered: 0,
};

/** A queue that is not open yet. */
export function showNoQueue(reason: string): Queue {
  return { isOn: true, state: "away", reason, streams: [], figures: NO_FIGURES, jobs: [] };
}

/** The queue as `/v1/queue` shows it. */
export function showQueue(
  { clock }: StreamDoorOptions,
  shift: JobShift | undefined,
  waitsFor: string,
): Queue {
  if (shift === undefined) return showNoQueue(waitsFor);
  const { source, registration } = shift.desk;
  const { state } = source;
  return {
    isOn: true,
    state: state.type,
    ...(state.type === "connected" ? {} : { reason: state.reason }),
    executerId: registration.uuid,
    streams: [...registration.redis_streams],
    figures: { ...source.figures },
    jobs: shift.held().map((job) => showJob(job, clock.nowMs())),
  };
}

function showJob(
  { claim, request, step, running, ending, sinceMs }: HeldJob,
  nowMs: number,
): Queue["jobs"][number] {
  const { jobId, attempt, deaths, stream, entryId } = claim;
  return {
    jobId,
    attempt,
    deaths,
    stream,
    entryId,
    ...(request === undefined ? {} : { executerType: request.executer_type, method: request.method }),
    step: step === "over" ? "publishing" : step,
    ...(ending === undefined ? {} : { end: jobOver(ending).end }),
    ...(running === undefined ? {} : { sandboxId: running.sandboxId }),
    ageMs: Math.round(nowMs - sinceMs),
  };
}
