import { OUTPUT_FILE } from "../../contract/executer-tracker/index.ts";
import type { WrittenArtifact } from "../../core/index.ts";
import { orAbort, withDeadline } from "../../std/index.ts";
import type { JobDesk } from "./desk.ts";
import { logClaim } from "./desk.ts";
import type { HeldJob } from "./held-job.ts";
import { packNothing } from "./pack-output.ts";
import { publishOutput } from "./publish-output.ts";
import { scratchFor } from "./publish-results.ts";

/** Whoever waits for the end of a job that did nothing waits no longer than this for a result with nothing in it. */
const PATIENCE_MS = 5_000;

/**
 * Publishes an empty result for a job that ends before its command ran, so that clients who ask for one find it. Tried once: the
 * end of the job is what they wait for, with or without it.
 *
 * @returns what was written; `undefined` when there is none, or nobody said where it belongs. Never throws.
 */
export async function publishNothing(
  desk: JobDesk,
  job: HeldJob,
): Promise<(WrittenArtifact & { readonly uri: string }) | undefined> {
  const { taskDir, claim } = job;
  if (taskDir === undefined || job.running !== undefined || job.isLost) return undefined;
  const { archiver, store, settings } = desk.options;
  const limit = { ms: PATIENCE_MS, code: "ARTIFACT_STORE_UNAVAILABLE", parent: job.holdSignal } as const;
  const publish = async (signal: AbortSignal): Promise<WrittenArtifact | undefined> => {
    const { scratch } = await scratchFor(desk, claim.jobId);
    return await publishOutput({
      store,
      taskDir,
      attempt: claim.attempt,
      scratch,
      pack: async (to) => await packNothing(archiver, scratch, settings.outputLimits, to, signal),
      onPacked: () => undefined,
      patienceMs: 0,
      isHeld: async () => !signal.aborted && (await desk.source.renew([claim])).length === 0,
      signal,
    });
  };
  try {
    job.advance("publishing");
    const written = await withDeadline(limit, (signal) => orAbort(publish(signal), signal));
    if (written === undefined) job.lose();
    return written && { ...written, uri: store.uriOf(`${taskDir}/${OUTPUT_FILE}`) };
  } catch (error) {
    if (!job.holdSignal.aborted) logClaim(desk, job, "warn", "claim.troubled", { error, step: job.step });
    return undefined;
  }
}
