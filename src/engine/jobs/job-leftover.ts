import type { DoorName, JobLeftover } from "../../core/index.ts";
import { ExecutorError } from "../../core/index.ts";
import { withDeadline } from "../../std/index.ts";
import { untilRemoved } from "../sandboxes/until-removed.ts";
import type { HeldJob } from "./held-job.ts";
import type { JobHost } from "./job-host.ts";
import type { Adopting, LeftoverJob, RunningJob } from "./jobs.ts";
import { StartedJob } from "./started-job.ts";

const ADOPT_DEADLINE_MS = 10_000;
const REAP_DEADLINE_MS = 60_000;

/** A job of an earlier life that is booked here, for its door to take over or to end. */
export function leftoverOf(host: JobHost, job: HeldJob, leftover: JobLeftover): LeftoverJob {
  let reaping: Promise<void> | undefined;
  const reap = (): Promise<void> => {
    if (reaping === undefined && job.state !== "leftover") return Promise.reject(taken(job));
    reaping ??= reapHeld(host, job, leftover);
    return reaping;
  };
  job.giveUp = () => host.engine.track(reap());
  return {
    mark: job.mark,
    sandboxId: job.sandboxId,
    reap,
    adopt: async (_door: DoorName, how: Adopting, signal: AbortSignal): Promise<RunningJob> => {
      if (job.state !== "leftover") throw taken(job);
      return await adopt({ host, job, leftover, reap }, how, signal);
    },
  };
}

interface Adoption {
  readonly host: JobHost;
  readonly job: HeldJob;
  readonly leftover: JobLeftover;
  reap(): Promise<void>;
}

async function adopt(
  { host, job, leftover, reap }: Adoption,
  how: Adopting,
  signal: AbortSignal,
): Promise<RunningJob> {
  const { clock, log, track } = host.engine;
  const { sandboxId, mark } = job;
  try {
    const sandbox = await withDeadline(
      { ms: ADOPT_DEADLINE_MS, code: "ENGINE_UNAVAILABLE", parent: signal, clock },
      (bounded) => leftover.adopt(bounded),
    );
    log.log("info", "job.adopted", { jobId: mark.jobId, attempt: mark.attempt, sandboxId });
    return new StartedJob(host, job, sandbox, how);
  } catch (thrown) {
    const error = ExecutorError.from(thrown);
    // What is not there any more will not come back; an engine that is away may.
    if (error.code === "SANDBOX_LOST") track(reap());
    throw error;
  }
}

function taken({ sandboxId, state }: HeldJob): ExecutorError {
  return new ExecutorError("SANDBOX_LOST", { sandboxId, reason: `it is ${state} already` });
}

async function reapHeld(host: JobHost, job: HeldJob, leftover: JobLeftover): Promise<void> {
  job.over({
    end: "lost",
    error: new ExecutorError("SANDBOX_LOST", { reason: "nobody took it over from an earlier life" }),
  });
  job.advance("removing");
  if (await reapLeftover(host, leftover)) job.release();
}

/** @returns whether nothing of it is left; not when the executor ended first. */
export async function reapLeftover({ engine }: JobHost, leftover: JobLeftover): Promise<boolean> {
  const { sandboxId, mark } = leftover;
  const isGone = await untilRemoved(engine, { sandboxId }, () =>
    withDeadline({ ms: REAP_DEADLINE_MS, code: "ENGINE_UNAVAILABLE", clock: engine.clock }, (signal) =>
      leftover.reap(signal),
    ),
  );
  if (isGone) engine.log.log("info", "sandbox.reaped", { sandboxId, jobId: mark?.jobId });
  return isGone;
}
