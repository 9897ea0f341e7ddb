import type { WorkerSandbox, WorkerSpec } from "../../core/index.ts";
import { orAbort } from "../../std/index.ts";
import type { HeldJob } from "../jobs/held-job.ts";
import type { JobHost } from "../jobs/job-host.ts";
import type { BookedRoom } from "../jobs/job-start.ts";
import { resolveImage, withinStartTime } from "../jobs/job-start.ts";
import type { JobRequest } from "../jobs/jobs.ts";
import type { StartedJob } from "../jobs/started-job.ts";
import type { HeldBack } from "../jobs/waiting-job.ts";
import { whenNotPaused } from "./when-not-paused.ts";
import type { RunningWorker, WorkerRequest, Workers } from "./workers.ts";

/** Where workers get their room. */
export interface WorkerRooms {
  readonly host: JobHost;
  book<T>(request: JobRequest, signal: AbortSignal, use: (room: BookedRoom) => T): Promise<T>;
  /** Shows it among those that wait until the work is done. */
  heldBack(job: HeldBack, work: Promise<void>): Promise<void>;
}

/** Workers among the jobs of an executor: each holds room as a job does, and is settled by itself once it has ended. */
export function workersOf(jobs: WorkerRooms): Workers {
  return {
    get needImage() {
      return jobs.host.engine.driver.workersNeedImage;
    },
    check(task, door) {
      const refusal = jobs.host.check(task, door);
      if (refusal !== undefined) throw refusal;
    },
    async start(request, signal) {
      const { workerId: jobId, door, task, serves } = request;
      const booking = { mark: { jobId, attempt: 1 }, door, task, serves };
      return await whenNotPaused(jobs, booking, signal, async () => {
        const room = await jobs.book(booking, signal, (booked) => booked);
        return await startIn(jobs.host, room, request, signal);
      });
    },
  };
}

async function startIn(
  host: JobHost,
  room: BookedRoom,
  request: WorkerRequest,
  signal: AbortSignal,
): Promise<RunningWorker> {
  const begin = (job: HeldJob, within: AbortSignal): Promise<WorkerSandbox> =>
    launch(host, job, request, within);
  const { running, sandbox } = await room.use({ deadlineMs: undefined, inputBytes: 0, begin }, signal);
  const settled = running.ending.then(() => running.settle(0));
  settled.catch((error: unknown) => host.engine.log.log("error", "executor.failed", { error }));
  return toWorker(host, room.job, running, sandbox, settled);
}

async function launch(
  host: JobHost,
  job: HeldJob,
  { purpose, command, environment, binds, labels, user, pidsLimit }: WorkerRequest,
  signal: AbortSignal,
): Promise<WorkerSandbox> {
  const { driver, clock } = host.engine;
  const image = driver.workersNeedImage ? await resolveImage(host, job, signal) : undefined;
  job.resolvedAtMs ??= clock.nowMs();
  const { sandboxId, mark, task, gpuIds } = job;
  const spec: WorkerSpec = {
    ...{ sandboxId, mark, task, image, gpuIds },
    ...{ purpose, command, environment, binds, labels, user, pidsLimit },
  };
  const sandbox = await withinStartTime(host, signal, (bounded) => driver.startWorker(spec, bounded));
  job.imageDigest = sandbox.imageDigest;
  return sandbox;
}

function toWorker(
  { engine }: JobHost,
  job: HeldJob,
  running: StartedJob,
  sandbox: WorkerSandbox,
  settled: Promise<void>,
): RunningWorker {
  return {
    sandboxId: running.sandboxId,
    label: running.label,
    gpuIds: running.gpuIds,
    isolation: sandbox.isolation,
    imageDigest: sandbox.imageDigest,
    endpoint: sandbox.endpoint,
    endpointOf: (port) => sandbox.endpointOf(port),
    ended: sandbox.ended,
    async kill(graceMs = 0) {
      running.stop("killed", graceMs);
      // An executor that lets go settles nothing any more; what is left of the worker is for its next life to end.
      await orAbort(settled, engine.ending).catch(() => undefined);
    },
    rest: (isResting) => job.rest(isResting),
    usage: (signal) => running.usage(signal),
    tailLog: (maxBytes, signal) => running.tailLog(maxBytes, signal),
    followLog: (tailBytes, signal) => running.followLog(tailBytes, signal),
  };
}
