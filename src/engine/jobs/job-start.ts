import type { JobSandbox, ResolvedImage } from "../../core/index.ts";
import { ExecutorError } from "../../core/index.ts";
import { withDeadline } from "../../std/index.ts";
import type { HeldJob } from "./held-job.ts";
import type { JobHost } from "./job-host.ts";
import type { JobOrder, JobRoom, RunningJob } from "./jobs.ts";
import { StartedJob } from "./started-job.ts";

/** Beyond the driver's own deadline, in case the driver hangs. */
const START_MARGIN_MS = 5_000;

/** The room that is booked for a job, to be used or given back. */
export function roomFor(host: JobHost, job: HeldJob): JobRoom {
  const cancelled = new AbortController();
  job.giveUp = (why) => {
    cancelled.abort(why);
    if (job.state === "reserved") giveBack(job, "unused", why);
  };
  return {
    sandboxId: job.sandboxId,
    gpuIds: job.gpuIds,
    start: async (order, signal) => {
      cancelled.signal.throwIfAborted();
      if (job.state !== "reserved") throw new TypeError(`the room of a job that is ${job.state}`);
      return await start({ host, job, order, cancelled }, signal);
    },
    release: () => {
      if (job.state === "reserved") giveBack(job, "unused", undefined);
    },
  };
}

interface JobStart {
  readonly host: JobHost;
  readonly job: HeldJob;
  readonly order: JobOrder;
  /** Aborts when the executor no longer wants it. */
  readonly cancelled: AbortController;
}

async function start(parts: JobStart, signal: AbortSignal): Promise<RunningJob> {
  const { host, job, order, cancelled } = parts;
  const { log } = host.engine;
  const { sandboxId, mark, task } = job;
  const onAbort = (): void => cancelled.abort(signal.reason);
  signal.addEventListener("abort", onAbort, { once: true });
  if (signal.aborted) onAbort();
  job.beganAtMs = host.engine.clock.nowMs();
  job.bytesIn = order.inputBytes;
  job.advance("starting");
  try {
    const sandbox = await startSandbox(parts, await resolveImage(parts));
    log.log("info", "job.started", {
      jobId: mark.jobId,
      attempt: mark.attempt,
      sandboxId,
      image: task.image,
      label: sandbox.label,
      isolation: sandbox.isolation,
    });
    return new StartedJob(host, job, sandbox, order.deadlineMs);
  } catch (error) {
    log.log("warn", "job.failed", { jobId: mark.jobId, attempt: mark.attempt, sandboxId, error });
    giveBack(job, "unstarted", ExecutorError.from(error));
    throw error;
  } finally {
    signal.removeEventListener("abort", onAbort);
  }
}

/** Its room comes back before its command ran. */
export function giveBack(job: HeldJob, end: "unused" | "unstarted", error: ExecutorError | undefined): void {
  job.over({ end, error });
  job.release();
}

async function resolveImage({ host, job, cancelled }: JobStart): Promise<ResolvedImage> {
  const { driver, clock, settings } = host.engine;
  const { image } = job.task;
  const { pullTimeoutMs, refreshImages } = settings();
  const deadline = {
    ms: pullTimeoutMs,
    code: "IMAGE_PULL_FAILED",
    facts: { image, reason: "it took too long", afterMs: pullTimeoutMs },
    parent: cancelled.signal,
    clock,
  } as const;
  const resolved = await withDeadline(deadline, (bounded) =>
    driver.resolve(image, { refresh: refreshImages ? "moved" : "missing" }, bounded),
  );
  job.resolvedAtMs = clock.nowMs();
  job.imageDigest = resolved.digest;
  return resolved;
}

async function startSandbox(
  { host, job, order, cancelled }: JobStart,
  image: ResolvedImage,
): Promise<JobSandbox> {
  const { driver, clock, settings } = host.engine;
  const { startTimeoutMs } = settings();
  const deadline = {
    ms: startTimeoutMs + START_MARGIN_MS,
    code: "START_TIMEOUT",
    facts: { afterMs: startTimeoutMs },
    parent: cancelled.signal,
    clock,
  } as const;
  const { sandboxId, mark, task, gpuIds } = job;
  const { command, environment, workDir, user, pidsLimit } = order;
  const spec = {
    ...{ sandboxId, mark, task, image, gpuIds },
    ...{ command, environment, workDir, user, pidsLimit },
  };
  return await withDeadline(deadline, (bounded) => driver.startJob(spec, bounded));
}
