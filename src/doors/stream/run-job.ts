import type { EntryReading, RequestEntry } from "../../contract/executer-tracker/index.ts";
import { KILL, readRequestEntry } from "../../contract/executer-tracker/index.ts";
import { ExecutorError } from "../../core/index.ts";
import type { LeftoverJob, RunningJob } from "../../engine/jobs/jobs.ts";
import { retry } from "../../std/index.ts";
import { announce, beginJob } from "./begin-job.ts";
import type { JobDesk } from "./desk.ts";
import { logClaim, speakerOf } from "./desk.ts";
import { completeJob, finishJob, giveBack } from "./finish-job.ts";
import type { HeldJob } from "./held-job.ts";
import { JobHalt } from "./held-job.ts";
import type { JobPlan } from "./plan-job.ts";
import { planJob } from "./plan-job.ts";
import { publishNothing } from "./publish-nothing.ts";
import type { Verdict } from "./verdict.ts";
import { endEvent, failed, KILLED, reasonOf } from "./verdict.ts";

/** Carries one claimed job to its end, whichever that is. Never throws: one bad job is one bad job. */
export async function runJob(desk: JobDesk, job: HeldJob): Promise<void> {
  const hears = new AbortController();
  try {
    const reading = readRequestEntry(job.claim.fields);
    if (reading.type === "nameless") await putAside(desk, job, reading.reason);
    else await runNamed(desk, job, reading, hears.signal);
  } catch (error) {
    await failUnlessOver(desk, job, error);
  } finally {
    hears.abort();
    job.over();
    await tidy(desk, job);
    job.gone();
  }
}

async function runNamed(
  desk: JobDesk,
  job: HeldJob,
  reading: Exclude<EntryReading, { readonly type: "nameless" }>,
  signal: AbortSignal,
): Promise<void> {
  const { claim } = job;
  if (claim.deaths >= desk.options.settings.maxDeaths) {
    await putAside(desk, job, `${claim.deaths} hosts ended while they held it`);
    return;
  }
  desk.source.watchCommands(claim.jobId, (message) => hear(desk, job, message), signal);
  if (reading.type === "faulty") {
    await completeJob(desk, job, failed(reading.reason));
    return;
  }
  job.request = reading.request;
  const planned = planJob(reading.request, desk.options);
  if (planned.type === "fault") {
    await reapLeftover(desk, job);
    await endUnrun(desk, job, failed(planned.reason));
  } else await runPlanned(desk, job, reading.request, planned.plan);
}

async function runPlanned(desk: JobDesk, job: HeldJob, request: RequestEntry, plan: JobPlan): Promise<void> {
  const adopted = await adopt(desk, job, plan);
  if (job.isLost) return;
  if (adopted !== undefined) {
    const free = desk.slots.force();
    try {
      const folders = await desk.folders.ensureScratch(job.claim.jobId);
      await finishJob(desk, job, request, { running: adopted, folders });
    } finally {
      free();
    }
    return;
  }
  const free = await desk.slots.take(job.beginSignal);
  try {
    await finishJob(desk, job, request, await beginJob(desk, job, request, plan));
  } finally {
    free();
  }
}

/**
 * Takes over what an earlier life of this daemon started for this very attempt. What it started for another one is ended, and
 * so is everything when the job was somebody else's meanwhile.
 */
async function adopt(desk: JobDesk, job: HeldJob, plan: JobPlan): Promise<RunningJob | undefined> {
  const { claim } = job;
  const leftover = desk.leftovers.get(claim.jobId);
  desk.leftovers.delete(claim.jobId);
  const running =
    leftover !== undefined && claim.isOwn && leftover.mark.attempt === claim.attempt
      ? await takeOver(leftover, plan.deadlineMs, job.holdSignal)
      : undefined;
  if (running === undefined && leftover !== undefined) await leftover.reap();
  if (claim.isOwn) {
    const resumed = await desk.source.resume(claim, running === undefined ? "anew" : "goes-on");
    if (resumed === undefined) job.lose();
    else job.claim = resumed;
  }
  if (running === undefined) return undefined;
  job.runs(running);
  // Its start was told before it started, unless the queue was away then and the daemon ended before it came back.
  if (!(await desk.folders.isAnnounced(job.claim.jobId, job.claim.attempt))) announce(desk, job);
  return running;
}

/** An engine that is away comes back, and its containers with it; only what is gone for good is done anew. */
async function takeOver(
  leftover: LeftoverJob,
  deadlineMs: number,
  signal: AbortSignal,
): Promise<RunningJob | undefined> {
  try {
    return await retry(
      {
        firstMs: 1_000,
        maxMs: 15_000,
        tries: Number.POSITIVE_INFINITY,
        signal,
        isWorthRetrying: isEngineAway,
      },
      async () => await leftover.adopt("stream", deadlineMs, signal),
    );
  } catch {
    return undefined;
  }
}

function isEngineAway(error: unknown): boolean {
  return error instanceof ExecutorError && error.code === "ENGINE_UNAVAILABLE";
}

async function reapLeftover(desk: JobDesk, { claim }: HeldJob): Promise<void> {
  const leftover = desk.leftovers.get(claim.jobId);
  desk.leftovers.delete(claim.jobId);
  await leftover?.reap();
}

function hear(desk: JobDesk, job: HeldJob, message: string): void {
  if (message === KILL) job.kill();
  else logClaim(desk, job, "warn", "claim.ignored", { message: message.slice(0, 100) });
}

/** Nobody can run it: it waits for a person, and whoever waits for it is told. */
async function putAside(desk: JobDesk, job: HeldJob, reason: string): Promise<void> {
  const { claim } = job;
  await reapLeftover(desk, job);
  const id = claim.fields["id"];
  const events =
    id === claim.jobId
      ? [endEvent(id, failed(reason), speakerOf(desk, claim.attempt), desk.stopReason())]
      : [];
  const result = await desk.source.deadLetter(claim, reason, events);
  logClaim(desk, job, "error", "claim.dead", { reason, entryId: claim.entryId, result });
}

/** A step has failed, or was told to end. */
async function failUnlessOver(desk: JobDesk, job: HeldJob, error: unknown): Promise<void> {
  try {
    if (job.isLost) logClaim(desk, job, "warn", "claim.lost", { step: job.step });
    else if (job.isKilled) await endUnrun(desk, job, KILLED);
    else if (isHandBack(job, error)) await giveBack(desk, job, "its host takes no more jobs");
    else {
      logClaim(desk, job, "warn", "claim.troubled", { error, step: job.step });
      await endUnrun(desk, job, failed(reasonOf(error)));
    }
  } catch (second) {
    // The queue could not be told: the lease runs out, and the job is tried again.
    logClaim(desk, job, "error", "claim.troubled", { error: second, step: "publishing" });
  }
}

/** It ends without having run. What it is asked while its empty result is stored still counts. */
async function endUnrun(desk: JobDesk, job: HeldJob, verdict: Verdict): Promise<void> {
  const output = await publishNothing(desk, job);
  if (job.isLost) logClaim(desk, job, "warn", "claim.lost", { step: job.step });
  else await completeJob(desk, job, job.isKilled ? KILLED : verdict, output && { output });
}

function isHandBack(job: HeldJob, error: unknown): boolean {
  if (job.isDraining && job.running === undefined) return true;
  if (error instanceof JobHalt) return error.by === "drain";
  return error instanceof ExecutorError && (error.code === "PAUSED" || error.code === "DRAINING");
}

async function tidy(desk: JobDesk, job: HeldJob): Promise<void> {
  // One that was not given a folder, or whose folder is still used by what could not be ended.
  if (job.request === undefined) return;
  await desk.folders.remove(job.claim.jobId).catch((error: unknown) => {
    logClaim(desk, job, "warn", "claim.troubled", { error, step: "tidying" });
  });
}
