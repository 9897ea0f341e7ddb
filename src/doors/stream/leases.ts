import { pause } from "../../std/index.ts";
import type { JobDesk } from "./desk.ts";
import type { HeldJob } from "./held-job.ts";

/** A lease lives for three of these. */
const RENEWALS = 3;

/** Keeps what this host holds, and tells the jobs whose lease is gone. Ends when the signal aborts. */
export async function keepLeases(
  desk: JobDesk,
  held: () => readonly HeldJob[],
  signal: AbortSignal,
): Promise<void> {
  const { clock, settings, log } = desk.options;
  while (!signal.aborted) {
    await pause(clock, settings.leaseMs / RENEWALS, signal);
    const jobs = held();
    if (jobs.length === 0) continue;
    try {
      const lost = await desk.source.renew(jobs.map(({ claim }) => claim));
      // Of an attempt that has been counted anew meanwhile, only the old one is gone.
      for (const gone of lost) jobs.find(({ claim, isResuming }) => claim === gone && !isResuming)?.lose();
    } catch (error) {
      log.log("warn", "claim.troubled", { error, step: "renewing" });
    }
  }
}
