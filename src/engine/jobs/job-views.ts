import type { TaskKey, TaskSpec } from "../../core/index.ts";
import { asId, NO_RESOURCES, taskKey } from "../../core/index.ts";
import { ROOM_IN_MAKING, roomReason } from "../calls/task-line.ts";
import type { EngineContext } from "../context.ts";
import type { WaitingView } from "../executor.ts";
import { SHOWN_JOBS } from "../executor.ts";
import type { HeldJob } from "./held-job.ts";
import type { JobView } from "./jobs.ts";
import type { HeldBack, WaitingJob } from "./waiting-job.ts";

export function viewOfJob({ clock, books }: EngineContext, job: HeldJob): JobView {
  const { state } = job;
  return {
    mark: job.mark,
    door: job.door,
    sandboxId: job.sandboxId,
    label: job.sandbox?.label,
    task: job.task,
    serves: job.serves,
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

/** Why a worker does not even ask for room, as a sentence. */
const PAUSED = "the executor is paused";

/** Jobs that wait for room, those of one task together, and workers that wait for the end of a pause. */
export function viewOfWaitingJobs(
  engine: EngineContext,
  all: Iterable<WaitingJob | HeldBack>,
): readonly WaitingView[] {
  const byTask = new Map<TaskKey, (WaitingJob | HeldBack)[]>();
  for (const job of all) {
    const key = taskKey(job.request.task);
    byTask.set(key, [...(byTask.get(key) ?? []), job]);
  }
  return [...byTask].map(([key, jobs]) => viewOfOneTask(engine, key, jobs));
}

function viewOfOneTask(
  engine: EngineContext,
  key: TaskKey,
  jobs: readonly (WaitingJob | HeldBack)[],
): WaitingView {
  const { task } = (jobs[0] as WaitingJob | HeldBack).request;
  return {
    taskKey: key,
    task,
    callers: jobs.length,
    waitedMs: engine.clock.nowMs() - Math.min(...jobs.map(({ sinceMs }) => sinceMs)),
    reason: waitReason(engine, task, jobs),
    jobIds: jobs.slice(0, SHOWN_JOBS).map(({ request }) => request.mark.jobId),
  };
}

function waitReason(engine: EngineContext, task: TaskSpec, jobs: readonly (WaitingJob | HeldBack)[]): string {
  const asking = jobs.filter((job) => "sandboxId" in job);
  if (asking.length === 0) return PAUSED;
  const isMaking = asking.some(({ sandboxId }) => engine.desk.isMakingRoomFor(asId<"demand">(sandboxId)));
  return isMaking ? ROOM_IN_MAKING : roomReason(engine, task);
}
