import { ExecutorError } from "../../core/index.ts";
import { pause } from "../../std/index.ts";
import type { JobDesk } from "./desk.ts";
import { logClaim } from "./desk.ts";
import type { JobDisk } from "./disk/job-disk.ts";
import type { StreamDoorOptions } from "./door-options.ts";
import type { HeldJob } from "./held-job.ts";
import { diskOf, taskOf } from "./plan-job.ts";

/** The least that one is held: it bounds how fast a long line of such jobs is gone through. */
const HOLD_MS = 250;
const UNFIT: readonly string[] = [
  "RESOURCES_EXCEED_LIMIT",
  "GPU_UNAVAILABLE",
  "ISOLATION_UNAVAILABLE",
  "NETWORK_UNAVAILABLE",
];

/** Whether an error says that a job is more than this host can give, or other. One that can may be on the same streams. */
export function isUnfit(error: unknown): error is ExecutorError {
  return error instanceof ExecutorError && UNFIT.includes(error.code);
}

/** A job that nobody may ever run is killed all the same. Never rejects. */
export async function listenForKill({ options }: JobDesk, job: HeldJob): Promise<void> {
  await Promise.all([
    pause(options.clock, HOLD_MS, job.beginSignal),
    job.hasListened(job.beginSignal).catch(() => undefined), // it goes no further, as is seen next
  ]);
}

/**
 * Hands back what this host cannot give. It is not asked for again here for a while. A line of such jobs is one
 * matter for whoever reads the log: of each type it is told once.
 */
export async function leaveToOthers(desk: JobDesk, job: HeldJob, why: ExecutorError): Promise<void> {
  job.stopHearing();
  await desk.source.release([job.claim], why.message, "elsewhere");
  const type = job.request?.executer_type ?? "";
  const level = desk.leftTypes.has(type) ? "debug" : "warn";
  desk.leftTypes.add(type);
  logClaim(desk, job, level, "claim.released", { reason: why.message });
}

/** Says at the start which types' jobs this host will never run. */
export async function warnOfUnfit(
  { types, executor, defaults, log }: StreamDoorOptions,
  disk: JobDisk,
): Promise<void> {
  const standard = defaults();
  for (const [executerType, type] of types) {
    try {
      executor.jobs.check(taskOf(type, standard));
      await disk.check(diskOf(type));
    } catch (error) {
      if (isUnfit(error)) log.log("warn", "executer-type.unfit", { executerType, error });
    }
  }
}
