import type { JobStop, RunningJob } from "../../engine/jobs/jobs.ts";
import type { JobDesk } from "./desk.ts";
import { logClaim } from "./desk.ts";
import type { HeldJob } from "./held-job.ts";

/** From now on it is written down why this job is ended before it is told to end. */
export function noteStops(desk: JobDesk, job: HeldJob, running: RunningJob): void {
  running.onStop = (by) => noteStop(desk, job, by);
}

/** For a next life that finds how a job ended and not why, since this one did not live to see it. Never rejects. */
export function noteStop(desk: JobDesk, job: HeldJob, by: JobStop): Promise<void> {
  // It is another host's: no life of this one goes on with it.
  if (by === "lease") return Promise.resolve();
  const noted = desk.folders.noteStop(job.claim.jobId, by).catch((error: unknown) => {
    logClaim(desk, job, "warn", "claim.troubled", { error, step: job.step });
  });
  job.noted = Promise.all([job.noted, noted]).then(() => undefined);
  return noted;
}
