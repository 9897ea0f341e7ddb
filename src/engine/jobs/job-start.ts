import type { JobSandbox, ResolvedImage } from "../../core/index.ts";
import { ExecutorError } from "../../core/index.ts";
import { withDeadline } from "../../std/index.ts";
import type { HeldJob } from "./held-job.ts";
import type { JobHost } from "./job-host.ts";
import type { JobOrder, JobRoom } from "./jobs.ts";
import { StartedJob } from "./started-job.ts";

/** Beyond the driver's own deadline, in case the driver hangs. */
const START_MARGIN_MS = 5_000;

/** Room that is booked, for whatever is to run in it. */
export interface BookedRoom extends Pick<JobRoom, "sandboxId" | "gpuIds" | "release"> {
  readonly job: HeldJob;
  /** As `JobRoom.start`, with what is started left to `begin`. To be called once. */
  use<S extends JobSandbox>(
    start: RoomStart<S>,
    signal: AbortSignal,
  ): Promise<{ readonly running: StartedJob; readonly sandbox: S }>;
}

export interface RoomStart<S extends JobSandbox> {
  readonly deadlineMs: number | undefined;
  readonly inputBytes: number;
  /** After a rejection nothing is left; the signal aborts when the executor no longer wants it. */
  begin(job: HeldJob, signal: AbortSignal): Promise<S>;
}

/** The room that is booked for a job, to be used or given back. */
export function roomFor(host: JobHost, job: HeldJob): BookedRoom {
  const cancelled = new AbortController();
  job.giveUp = (why) => {
    cancelled.abort(why);
    if (job.state === "reserved") giveBack(job, "unused", why);
  };
  return {
    job,
    sandboxId: job.sandboxId,
    gpuIds: job.gpuIds,
    use: async (start, signal) => {
      cancelled.signal.throwIfAborted();
      if (job.state !== "reserved") throw new TypeError(`the room of a job that is ${job.state}`);
      return await begin(host, job, start, cancelled, signal);
    },
    release: () => {
      if (job.state === "reserved") giveBack(job, "unused", undefined);
    },
  };
}

/** The same for a command that runs to its end. */
export function jobRoom(host: JobHost, { sandboxId, gpuIds, release, use }: BookedRoom): JobRoom {
  return {
    ...{ sandboxId, gpuIds, release },
    start: async (order, signal) => {
      const { deadlineMs, inputBytes } = order;
      const launch = async (job: HeldJob, within: AbortSignal): Promise<JobSandbox> =>
        await startSandbox(host, job, order, await resolveImage(host, job, within), within);
      return (await use({ deadlineMs, inputBytes, begin: launch }, signal)).running;
    },
  };
}

async function begin<S extends JobSandbox>(
  host: JobHost,
  job: HeldJob,
  start: RoomStart<S>,
  cancelled: AbortController,
  signal: AbortSignal,
): Promise<{ readonly running: StartedJob; readonly sandbox: S }> {
  const { log } = host.engine;
  const { sandboxId, mark, task, serves } = job;
  const onAbort = (): void => cancelled.abort(signal.reason);
  signal.addEventListener("abort", onAbort, { once: true });
  if (signal.aborted) onAbort();
  job.beganAtMs = host.engine.clock.nowMs();
  job.bytesIn = start.inputBytes;
  job.advance("starting");
  try {
    const sandbox = await start.begin(job, cancelled.signal);
    log.log("info", "job.started", {
      jobId: mark.jobId,
      attempt: mark.attempt,
      sandboxId,
      image: task.image,
      ...(serves === undefined ? {} : { serves }),
      label: sandbox.label,
      isolation: sandbox.isolation,
    });
    return { running: new StartedJob(host, job, sandbox, start), sandbox };
  } catch (error) {
    // One that nobody wants any more has not failed.
    const level = cancelled.signal.aborted ? "info" : "warn";
    const why = givenUp(cancelled.signal) ?? ExecutorError.from(error);
    log.log(level, "job.failed", { jobId: mark.jobId, attempt: mark.attempt, sandboxId, error: why });
    giveBack(job, "unstarted", why);
    throw error;
  } finally {
    signal.removeEventListener("abort", onAbort);
  }
}

/** Whoever asked for it has taken that back, in words of their own; the executor gives its reasons in ours. */
function givenUp({ aborted, reason }: AbortSignal): ExecutorError | undefined {
  if (!aborted || reason instanceof ExecutorError) return undefined;
  return new ExecutorError("CALL_CANCELLED", { reason: "the start is no longer wanted" });
}

/** Its room comes back before its command ran. */
export function giveBack(job: HeldJob, end: "unused" | "unstarted", error: ExecutorError | undefined): void {
  job.over({ end, error });
  job.release();
}

/** Pins its image, fetched if need be. */
export async function resolveImage(host: JobHost, job: HeldJob, signal: AbortSignal): Promise<ResolvedImage> {
  const { driver, clock, settings } = host.engine;
  const { image } = job.task;
  const { pullTimeoutMs, refreshImages } = settings();
  const deadline = {
    ms: pullTimeoutMs,
    code: "IMAGE_PULL_FAILED",
    facts: { image, reason: "it took too long", afterMs: pullTimeoutMs },
    parent: signal,
    clock,
  } as const;
  const resolved = await withDeadline(deadline, (bounded) =>
    driver.resolve(image, { refresh: refreshImages ? "moved" : "missing" }, bounded),
  );
  job.resolvedAtMs = clock.nowMs();
  job.imageDigest = resolved.digest;
  return resolved;
}

/** Bounds a start that the driver would not end by itself. */
export async function withinStartTime<S>(
  { engine }: JobHost,
  signal: AbortSignal,
  start: (bounded: AbortSignal) => Promise<S>,
): Promise<S> {
  const { startTimeoutMs } = engine.settings();
  const deadline = {
    ms: startTimeoutMs + START_MARGIN_MS,
    code: "START_TIMEOUT",
    facts: { afterMs: startTimeoutMs },
    parent: signal,
    clock: engine.clock,
  } as const;
  return await withDeadline(deadline, start);
}

async function startSandbox(
  host: JobHost,
  job: HeldJob,
  order: JobOrder,
  image: ResolvedImage,
  signal: AbortSignal,
): Promise<JobSandbox> {
  const { sandboxId, mark, task, gpuIds } = job;
  const { command, workDir, user, pidsLimit } = order;
  // What acts on something outside can be run twice: by these it tells, and nobody else may set them.
  const environment = {
    ...order.environment,
    HEARTH_JOB_ID: mark.jobId,
    HEARTH_ATTEMPT: String(mark.attempt),
  };
  const spec = {
    ...{ sandboxId, mark, task, image, gpuIds },
    ...{ command, environment, workDir, user, pidsLimit },
  };
  return await withinStartTime(host, signal, (bounded) => host.engine.driver.startJob(spec, bounded));
}
