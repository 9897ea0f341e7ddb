import type { EntryReading, RequestEntry } from "../../contract/executer-tracker/index.ts";
import { KILL, readRequestEntry } from "../../contract/executer-tracker/index.ts";
import { ExecutorError } from "../../core/index.ts";
import type { Adopting, LeftoverJob, RunningJob } from "../../engine/jobs/jobs.ts";
import { retry } from "../../std/index.ts";
import { announce, beginJob, watchDisk } from "./begin-job.ts";
import type { JobDesk } from "./desk.ts";
import { logClaim, speakerOf } from "./desk.ts";
import { completeJob, finishJob, giveBack, isLost, mayBeTriedAgain } from "./finish-job.ts";
import type { HeldJob } from "./held-job.ts";
import { JobHalt } from "./held-job.ts";
import { isUnfit, leaveToOthers, listenForKill } from "./leave-to-others.ts";
import { noteStop, noteStops } from "./note-stop.ts";
import type { JobPlan } from "./plan-job.ts";
import { planJob } from "./plan-job.ts";
import { publishNothing } from "./publish-nothing.ts";
import type { Verdict } from "./verdict.ts";
import { endEvent, failed, KILLED, reasonOf } from "./verdict.ts";

/** Carries one claimed job to its end, whichever that is. Never throws: one bad job is one bad job. */
export async function runJob(desk: JobDesk, job: HeldJob): Promise<void> {
  try {
    const reading = readRequestEntry(job.claim.fields);
    if (reading.type === "nameless") await putAside(desk, job, reading.reason);
    else await runNamed(desk, job, reading);
  } catch (error) {
    await failUnlessOver(desk, job, error);
  } finally {
    job.stopHearing();
    job.over();
    await tidy(desk, job);
    job.gone();
  }
}

async function runNamed(
  desk: JobDesk,
  job: HeldJob,
  reading: Exclude<EntryReading, { readonly type: "nameless" }>,
): Promise<void> {
  const { claim } = job;
  if (reading.type === "request") job.request = reading.request;
  job.taskDir = reading.type === "request" ? reading.request.task_dir : reading.taskDir;
  if (claim.deaths >= desk.options.settings.maxDeaths) {
    await putAside(desk, job, `${claim.deaths} hosts ended while they held it`);
    return;
  }
  const onCommand = (message: string): void => hear(desk, job, message);
  job.listens(desk.source.watchCommands(claim.jobId, onCommand, job.hearSignal));
  if (reading.type === "faulty") {
    await endFaulty(desk, job, reading.reason);
    return;
  }
  const planned = planJob(reading.request, desk.options);
  if (planned.type === "fault") await endFaulty(desk, job, planned.reason);
  else await runPlanned(desk, job, reading.request, planned.plan);
}

/** What is wrong with it is wrong on every host. */
async function endFaulty(desk: JobDesk, job: HeldJob, reason: string): Promise<void> {
  job.stepAside();
  await reapLeftover(desk, job);
  await endUnrun(desk, job, failed(reason));
}

async function runPlanned(desk: JobDesk, job: HeldJob, request: RequestEntry, plan: JobPlan): Promise<void> {
  const adopted = await adopt(desk, job, plan);
  if (adopted !== undefined) {
    await finishAdopted(desk, job, request, { running: adopted, plan });
    return;
  }
  if (isLost(desk, job)) return;
  // What can never run here is not kept until its turn comes.
  desk.options.executor.jobs.check(plan.task);
  const free = await desk.slots.take(job.beginSignal);
  try {
    await finishJob(desk, job, request, await beginJob(desk, job, request, plan));
  } finally {
    free();
  }
}

/** Whatever becomes of it, also if it is another host's by now: what it holds here comes back. */
async function finishAdopted(
  desk: JobDesk,
  job: HeldJob,
  request: RequestEntry,
  { running, plan }: { readonly running: RunningJob; readonly plan: JobPlan },
): Promise<void> {
  const free = desk.slots.force();
  try {
    const folders = await orSettled(running, async () => {
      job.disk = await desk.disk.keep(plan.diskBytes);
      return await desk.folders.ensureScratch(job.claim.jobId);
    });
    watchDisk(job, running, folders);
    await finishJob(desk, job, request, { running, folders });
  } finally {
    free();
  }
}

/** Where a step fails that has to come before the job can be seen to its end, nothing of it is left. */
async function orSettled<T>(running: RunningJob | undefined, step: () => Promise<T>): Promise<T> {
  try {
    return await step();
  } catch (error) {
    running?.stop("lease", 0);
    await running?.settle(0);
    throw error;
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
  if (claim.isOwn) recallStop(desk, job);
  const running =
    leftover !== undefined && claim.isOwn && leftover.mark.attempt === claim.attempt
      ? await takeOver(leftover, { deadlineMs: plan.deadlineMs, stoppedBy: job.stoppedBy }, job.holdSignal)
      : undefined;
  if (running === undefined && leftover !== undefined) await leftover.reap();
  if (claim.isOwn)
    await orSettled(running, async () => await resume(desk, job, running === undefined ? "anew" : "goes-on"));
  if (running === undefined) {
    // It begins anew, and what comes then is this life's doing.
    job.stoppedBy = undefined;
    return undefined;
  }
  goOn(desk, job, running);
  // Its start was told before it started, unless the queue was away then and the daemon ended before it came back. The queue knows.
  await job.hasListened(job.beginSignal).catch(() => undefined); // its ending says why
  if (!job.isKilled && !job.isLost) announce(desk, job);
  return running;
}

/** What an earlier life was about to end is ended. Of a kill nobody else knows: its message is gone from the queue. */
function recallStop({ folders }: JobDesk, job: HeldJob): void {
  job.stoppedBy = folders.takeStop(job.claim.jobId);
  if (job.stoppedBy === "killed") job.kill();
}

function goOn(desk: JobDesk, job: HeldJob, running: RunningJob): void {
  noteStops(desk, job, running);
  job.runs(running);
  if (job.stoppedBy !== undefined) running.stop(job.stoppedBy, desk.options.settings.killGraceMs);
}

async function resume(desk: JobDesk, job: HeldJob, how: "goes-on" | "anew"): Promise<void> {
  job.isResuming = true;
  try {
    const resumed = await desk.source.resume(job.claim, how);
    if (resumed === undefined) job.lose();
    else job.claim = resumed;
  } finally {
    job.isResuming = false;
  }
}

/** An engine that is away comes back, and its containers with it; only what is gone for good is done anew. */
async function takeOver(
  leftover: LeftoverJob,
  how: Adopting,
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
      async () => await leftover.adopt("stream", how, signal),
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
  if (message === KILL) {
    if (job.kill()) noteStop(desk, job, "killed").catch(() => undefined); // never: it does not reject
  } else logClaim(desk, job, "warn", "claim.ignored", { message: message.slice(0, 100) });
}

/** Nobody can run it: it waits for a person, and whoever waits for it is told. */
async function putAside(desk: JobDesk, job: HeldJob, reason: string): Promise<void> {
  const { claim } = job;
  job.stepAside();
  await reapLeftover(desk, job);
  await publishNothing(desk, job);
  if (isLost(desk, job)) return;
  const id = claim.fields["id"];
  const events =
    id === claim.jobId
      ? [endEvent(id, failed(reason), speakerOf(desk, claim.attempt), desk.termination())]
      : [];
  const result = await desk.source.deadLetter(claim, reason, events);
  logClaim(desk, job, "error", "claim.dead", { reason, entryId: claim.entryId, result });
}

/** A step has failed, or was told to end. */
async function failUnlessOver(desk: JobDesk, job: HeldJob, error: unknown): Promise<void> {
  job.stepAside();
  try {
    if (isUnfit(error)) await listenForKill(desk, job);
    if (isLost(desk, job)) return;
    if (job.isKilled) await endUnrun(desk, job, KILLED);
    else if (isHandBack(job, error)) await giveBack(desk, job, "its host takes no more jobs");
    else if (isUnfit(error)) await leaveToOthers(desk, job, error);
    else if (isEngineAway(error) && mayBeTriedAgain(desk, job)) {
      await giveBack(desk, job, `its host could not start it: ${reasonOf(error)}`, "failed");
    } else {
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
  if (!isLost(desk, job)) await completeJob(desk, job, job.isKilled ? KILLED : verdict, output && { output });
}

function isHandBack(job: HeldJob, error: unknown): boolean {
  if (job.isDraining && job.running === undefined) return true;
  if (error instanceof JobHalt) return error.by === "drain";
  return error instanceof ExecutorError && (error.code === "PAUSED" || error.code === "DRAINING");
}

async function tidy(desk: JobDesk, job: HeldJob): Promise<void> {
  await job.noted;
  await desk.folders.remove(job.claim.jobId).catch((error: unknown) => {
    logClaim(desk, job, "warn", "claim.troubled", { error, step: "tidying" });
  });
}
