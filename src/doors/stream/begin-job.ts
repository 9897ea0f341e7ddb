import type { RequestEntry } from "../../contract/executer-tracker/index.ts";
import { ExecutorError } from "../../core/index.ts";
import type { JobOrder, RunningJob } from "../../engine/jobs/jobs.ts";
import { backoffMs, pause } from "../../std/index.ts";
import type { JobDesk } from "./desk.ts";
import { logClaim, speakerOf } from "./desk.ts";
import type { HeldJob } from "./held-job.ts";
import { noteStops } from "./note-stop.ts";
import type { JobPlan } from "./plan-job.ts";
import { stageInput } from "./stage-input.ts";
import { startedEvent } from "./verdict.ts";
import type { JobFolders } from "./work-folders.ts";

/** A host that cannot start a job may be well again in a moment; after these tries it is somebody else's turn. */
const TRIES = 5;
const BACKOFF = { firstMs: 1_000, maxMs: 15_000 } as const;

/** A job whose command runs. */
export interface Begun {
  readonly running: RunningJob;
  readonly folders: JobFolders;
}

type Staged = JobFolders & { readonly bytes: number };

/**
 * Room, files, start. Before the command runs the start is announced, once; before that it has been looked whether somebody
 * wants it killed.
 *
 * @throws what a step throws; the {@link JobHalt} of the job once that aborts. Then nothing runs, and no room is held.
 */
export async function beginJob(
  desk: JobDesk,
  job: HeldJob,
  request: RequestEntry,
  plan: JobPlan,
): Promise<Begun> {
  const signal = job.beginSignal;
  let staged: Staged | undefined;
  for (let failures = 1; ; failures += 1) {
    try {
      job.advance("waiting");
      job.disk ??= await desk.disk.take(plan.diskBytes, signal);
      const room = await desk.options.executor.jobs.reserve(
        { mark: { jobId: job.claim.jobId, attempt: job.claim.attempt }, door: "stream", task: plan.task },
        signal,
      );
      try {
        staged ??= await stage(desk, job, request);
        await job.hasListened(signal);
      } catch (error) {
        room.release();
        throw error;
      }
      announce(desk, job);
      job.advance("starting");
      const running = await room.start(orderOf(plan, staged), signal);
      noteStops(desk, job, running);
      job.runs(running);
      watchDisk(job, running, staged);
      return { running, folders: staged };
    } catch (error) {
      signal.throwIfAborted();
      if (failures >= TRIES || !mayPass(error)) throw error;
      logClaim(desk, job, "warn", "claim.troubled", { error, tries: failures });
      await pause(desk.options.clock, backoffMs(BACKOFF, failures, Math.random()), signal);
    }
  }
}

async function stage(desk: JobDesk, job: HeldJob, request: RequestEntry): Promise<Staged> {
  const { store, archiver, settings } = desk.options;
  job.advance("staging");
  const { inputBytes } = settings;
  const diskBytes = job.disk?.limitBytes ?? Number.POSITIVE_INFINITY;
  const totalBytes = Math.min(settings.inputLimits.totalBytes, diskBytes);
  const inputLimits = { ...settings.inputLimits, totalBytes };
  const staging = { store, archiver, folders: desk.folders, inputBytes, inputLimits };
  return await stageInput(staging, job.claim.jobId, request.task_dir, job.beginSignal);
}

/** Ends what fills more of the disk than it may: at once, since its neighbours write there too. */
export function watchDisk({ disk }: HeldJob, running: RunningJob, { workDir }: JobFolders): void {
  disk?.watch(workDir.localPath, () => running.stop("disk", 0));
}

/** Goes out behind everything that was said before and ahead of what is said later; nobody waits for it. */
export function announce(desk: JobDesk, job: HeldJob): void {
  if (job.isAnnounced) return;
  job.isAnnounced = true;
  const { claim } = job;
  desk.source.publish([startedEvent(claim.jobId, speakerOf(desk, claim.attempt))], claim).then(
    (isHeld) => {
      if (!isHeld) job.lose();
    },
    (error: unknown) => logClaim(desk, job, "warn", "claim.troubled", { error, step: "announcing" }),
  );
}

function orderOf(plan: JobPlan, { workDir, bytes }: Staged): JobOrder {
  const { command, environment, user, pidsLimit, deadlineMs } = plan;
  return { command, environment, workDir, user, pidsLimit, deadlineMs, inputBytes: bytes };
}

/** What is the host's own trouble and may be over soon. A host that takes no work at all is not worth waiting for here. */
function mayPass(error: unknown): boolean {
  if (!(error instanceof ExecutorError)) return false;
  const { retry, fault, kind } = error.spec;
  return (
    retry === "later" &&
    fault === "host" &&
    kind !== "paused" &&
    kind !== "draining" &&
    error.code !== "INTERNAL"
  );
}
