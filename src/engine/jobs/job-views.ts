import type { TaskKey } from "../../core/index.ts";
import { asId, NO_RESOURCES, taskKey } from "../../core/index.ts";
import { ROOM_IN_MAKING, roomReason } from "../calls/task-line.ts";
import type { EngineContext } from "../context.ts";
import type { WaitingView } from "../executor.ts";
import { SHOWN_JOBS } from "../executor.ts";
import type { HeldJob } from "./held-job.ts";
import type { JobView } from "./jobs.ts";
import type { WaitingJob } from "./waiting-job.ts";

export function viewOfJob({ clock, books }: EngineContext, job: HeldJob): JobView {
  const { state } = job;
  return {
    mark: job.mark,
    door: job.door,
    sandboxId: job.sandboxId,
    label: job.sandbox?.label,
    task: job.task,
    // One that is gone is on no list.
    state: state === "gone" ? "removing" : state,
    isolation: job.isolation,
    imageDigest: job.imageDigest,
    gpuIds: job.gpuIds,
    reserved: books.heldBy(job.sandboxId)?.resources ?? NO_RESOURCES,
    ageMs: clock.nowMs() - job.heldSinceMs,
    ranMs: job.startedAtMs === undefined ? undefined : (job.endedAtMs ?? clock.nowMs()) - job.startedAtMs,
  };
}

/** Jobs that wait for room, those of one task together. */
export function viewOfWaitingJobs(engine: EngineContext, all: Iterable<WaitingJob>): readonly WaitingView[] {
  const byTask = new Map<TaskKey, WaitingJob[]>();
  for (const job of all) {
    const key = taskKey(job.request.task);
    byTask.set(key, [...(byTask.get(key) ?? []), job]);
  }
  return [...byTask].map(([key, jobs]) => viewOfOneTask(engine, key, jobs));
}

function viewOfOneTask(engine: EngineContext, key: TaskKey, jobs: readonly WaitingJob[]): WaitingView {
  const { task } = (jobs[0] as WaitingJob).request;
  const isMaking = jobs.some(({ sandboxId }) => engine.desk.isMakingRoomFor(asId<"demand">(sandboxId)));
  return {
    taskKey: key,
    task,
    callers: jobs.length,
    waitedMs: engine.clock.nowMs() - Math.min(...jobs.map(({ sinceMs }) => sinceMs)),
    reason: isMaking ? ROOM_IN_MAKING : roomReason(engine, task),
    jobIds: jobs.slice(0, SHOWN_JOBS).map(({ request }) => request.mark.jobId),
  };
}
