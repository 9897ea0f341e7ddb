import type { RequestEntry } from "../../contract/executer-tracker/index.ts";
import type { Completion, SandboxUsage, WrittenArtifact } from "../../core/index.ts";
import type { JobEnding, RunningJob } from "../../engine/jobs/jobs.ts";
import type { JobDesk } from "./desk.ts";
import { logClaim, speakerOf } from "./desk.ts";
import type { HeldJob } from "./held-job.ts";
import { captureOutput } from "./output-capture.ts";
import { publishResults } from "./publish-results.ts";
import type { Speaker, Verdict } from "./verdict.ts";
import { endEvent, verdictOf } from "./verdict.ts";
import type { JobFolders } from "./work-folders.ts";

/** What else is known of a job's end, for its record. */
export interface Facts {
  readonly output?: WrittenArtifact & { readonly uri: string };
  readonly ending?: JobEnding;
}

/**
 * Sees a running job to its end: its results are packed and published, its end is told, and everything that it held comes back.
 * Never leaves the sandbox behind, whatever fails.
 */
export async function finishJob(
  desk: JobDesk,
  job: HeldJob,
  request: RequestEntry,
  { running, folders }: { readonly running: RunningJob; readonly folders: JobFolders },
): Promise<void> {
  let outputBytes = 0;
  try {
    const printed = captureOutput(running, desk.options.settings.logBytes);
    const ending = await running.ending;
    job.ending = ending;
    const files = await printed.finish();
    if (await isGivenBack(desk, job, ending)) return;
    const { output, trouble } = await publishResults(desk, job, request, folders, files);
    if (isLost(desk, job)) return;
    outputBytes = output?.bytes ?? 0;
    const verdict = withTrouble(verdictOf(ending, job.isKilled, job.disk?.limitBytes), trouble);
    await completeJob(desk, job, verdict, { ending, ...(output === undefined ? {} : { output }) });
  } finally {
    await running.settle(outputBytes);
  }
}

/** Whether the job goes on elsewhere, or here as another attempt: then nobody is told of this end. */
async function isGivenBack(desk: JobDesk, job: HeldJob, ending: JobEnding): Promise<boolean> {
  if (isLost(desk, job)) return true;
  const { settings } = desk.options;
  if (job.isKilled) return false;
  // A life that has ended can be told as the end of this executer no more.
  const isForOthers = settings.onStop === "hand_back" || job.stoppedBy === "drain";
  if (ending.cause === "stopped" && ending.by === "drain" && isForOthers) {
    await giveBack(desk, job, "its host stops");
    return true;
  }
  if (ending.cause === "infrastructure" && mayBeTriedAgain(desk, job)) {
    await giveBack(desk, job, `its host lost it: ${ending.reason}`, "failed");
    return true;
  }
  return false;
}

/** Whether what was its host's trouble, and none of its own, may be tried once more, here or elsewhere. */
export function mayBeTriedAgain({ options }: JobDesk, { claim }: HeldJob): boolean {
  return claim.failures + 1 < options.settings.maxAttempts;
}

/** Whether another host may have it by now: then this one tells nobody but its operator. */
export function isLost(desk: JobDesk, job: HeldJob): boolean {
  if (job.isLost) logClaim(desk, job, "warn", "claim.lost", { step: job.step });
  return job.isLost;
}

/** Any host may have it the next moment. */
export async function giveBack(desk: JobDesk, job: HeldJob, reason: string, how?: "failed"): Promise<void> {
  // Whoever has it next hears what is sent from now on: here nobody would look at it any more.
  job.stopHearing();
  await desk.source.release([job.claim], reason, how);
  logClaim(desk, job, "info", "claim.released", { reason });
}

/** A success whose results nobody can read is none. */
function withTrouble(verdict: Verdict, trouble: string | undefined): Verdict {
  if (trouble === undefined) return verdict;
  const detail = verdict.detail === undefined ? trouble : `${verdict.detail}; ${trouble}`;
  return { ...verdict, status: verdict.status === "success" ? "failed" : verdict.status, detail };
}

/** Records and tells a job's end in one step, if this host still holds it. */
export async function completeJob(
  desk: JobDesk,
  job: HeldJob,
  verdict: Verdict,
  facts: Facts = {},
): Promise<void> {
  job.advance("publishing");
  const { claim } = job;
  const speaker = speakerOf(desk, claim.attempt);
  const completion: Completion = {
    result: recordOf(verdict, facts, speaker),
    events: [endEvent(claim.jobId, verdict, speaker, desk.termination())],
  };
  const result = await desk.source.commit(claim, completion);
  if (result === "committed") {
    if (verdict.status === "terminated") job.isTerminated = true;
    logClaim(desk, job, "info", "claim.completed", { status: verdict.status, detail: verdict.detail });
  } else logClaim(desk, job, "warn", "claim.lost", { result });
}

/** What is kept of a job, for whoever asks later. */
function recordOf(
  { status, detail, exitCode, isOutOfMemory }: Verdict,
  { output, ending }: Facts,
  { attempt, host, executerId }: Speaker,
): Completion["result"] {
  return {
    status,
    detail: detail ?? null,
    exit_code: exitCode ?? null,
    oom: isOutOfMemory,
    attempt,
    host,
    executer_id: executerId,
    output: output ?? null,
    ran_ms: ending?.ranMs ?? null,
    ...usageOf(ending?.usage),
  };
}

function usageOf(seen: SandboxUsage | undefined): Readonly<Record<string, number | null>> {
  const usage = seen?.isEarlier === true ? undefined : seen;
  return { cpu_ms: usage?.cpuMs ?? null, memory_peak_bytes: usage?.memoryPeakBytes ?? null };
}
