import type { Claim } from "../../core/index.ts";
import { pause } from "../../std/index.ts";
import type { JobDesk } from "./desk.ts";
import { fittingJobs } from "./fitting-jobs.ts";
import { HeldJob } from "./held-job.ts";
import { runJob } from "./run-job.ts";

/** How long one question for jobs waits for an answer; a stop or a pause takes effect after it at the latest. */
const CLAIM_WAIT_MS = 2_000;
/** The pause before it is asked again whether there is room. */
const ROOM_POLL_MS = 250;
const TROUBLE_MS = 1_000;
/** Where a stream cannot be read: jobs of an earlier life that were not handed out after this many leases are somebody else's. */
const UNCLAIMED_LEASES = 3;

/** The jobs that this host holds: it asks for as many as fit, and sees each to its end. */
export class JobShift {
  readonly desk: JobDesk;
  readonly #jobs = new Set<HeldJob>();
  readonly #stop = new AbortController();
  #wake: () => void = () => undefined;
  #hasToldEnd = false;
  #claimedAtMs = Number.NEGATIVE_INFINITY;

  constructor(desk: JobDesk) {
    this.desk = desk;
    desk.slots.onFree = () => this.#wake();
  }

  held(): readonly HeldJob[] {
    return [...this.#jobs];
  }

  counts(): { readonly running: number; readonly waiting: number } {
    const running = this.held().filter((job) => job.running !== undefined).length;
    return { running, waiting: this.#jobs.size - running };
  }

  /** Whether a job's end has told that this executer ends. */
  get hasToldEnd(): boolean {
    return this.#hasToldEnd;
  }

  /** Asks for jobs and starts them until it is told to stop. No failure ends it. */
  async claimAll(signal: AbortSignal): Promise<void> {
    const { source, options } = this.desk;
    const onStop = (): void => this.#end(signal.reason);
    signal.addEventListener("abort", onStop, { once: true });
    if (signal.aborted) onStop();
    const stop = this.#stop.signal;
    while (!stop.aborted) {
      const count = this.#wanted();
      if (count === 0) {
        await this.#pause(ROOM_POLL_MS);
        // Jobs that end together make room together.
        await new Promise(setImmediate);
        continue;
      }
      try {
        const claims = await source.claim(count, CLAIM_WAIT_MS, stop);
        if (claims.length > 0) this.#claimedAtMs = options.clock.nowMs();
        for (const claim of claims) this.#take(claim);
        if (claims.length === 0 && source.state.type === "away") await this.#pause(ROOM_POLL_MS);
      } catch (error) {
        if (error === stop.reason) break;
        options.log.log("warn", "claim.troubled", { error, step: "claiming" });
        await pause(options.clock, TROUBLE_MS, stop);
      }
    }
    signal.removeEventListener("abort", onStop);
  }

  /** Ends what an earlier life started and what is not this host's any more, as soon as that is known. */
  async reapUnclaimed(signal: AbortSignal): Promise<void> {
    const { leftovers, options, source } = this.desk;
    let connectedMs = 0;
    while (leftovers.size > 0) {
      await pause(options.clock, ROOM_POLL_MS, signal);
      if (signal.aborted) return;
      // Only time in which the queue could have handed them out counts.
      if (source.state.type !== "away") connectedMs += ROOM_POLL_MS;
      if (source.hasGivenOwn || connectedMs >= options.settings.leaseMs * UNCLAIMED_LEASES) {
        await this.#reapAll();
      }
    }
  }

  async #reapAll(): Promise<void> {
    const { leftovers, options, folders } = this.desk;
    const isHeld = (jobId: string): boolean => this.held().some(({ claim }) => claim.jobId === jobId);
    for (const [jobId, leftover] of [...leftovers]) {
      // Its job was handed out a moment ago and sees to it, perhaps while the one before was reaped.
      if (isHeld(jobId) || leftovers.get(jobId) !== leftover) continue;
      options.log.log("warn", "claim.lost", { jobId, attempt: leftover.mark.attempt, step: "adopting" });
      await leftover.reap().catch((error: unknown) => {
        options.log.log("warn", "claim.troubled", { jobId, error, step: "reaping" });
      });
      // Whoever was handed its job meanwhile has taken this from here, reaped it as well, and has made the folder anew.
      if (leftovers.get(jobId) !== leftover || isHeld(jobId)) continue;
      leftovers.delete(jobId);
      await folders.remove(jobId).catch(() => undefined);
    }
  }

  /** No more jobs; those that have not started go back. */
  drain(): void {
    this.#end(new Error("the door takes no more jobs"));
    for (const job of this.#jobs) job.drain();
  }

  /** Resolves when no job is left here. */
  async quiet(): Promise<void> {
    while (this.#jobs.size > 0) await Promise.all(this.held().map(({ ended }) => ended));
  }

  /** How many more jobs this host may hold now. */
  #wanted(): number {
    const { options, leftovers, slots } = this.desk;
    const { executor, settings } = options;
    if (executor.state !== "running") return 0;
    // They run already, whatever the limits are now; the queue hands out this host's own first.
    const owed = leftovers.size - this.counts().waiting;
    if (owed > 0) return owed;
    const room = settings.concurrency + settings.claimAhead - this.#unfinished();
    if (room <= 0) return 0;
    if (settings.claimAhead > 0) return this.#isEarly(room) ? 0 : room;
    // Who comes behind one that waits for room would wait as well, and somebody else may have room for it.
    if (this.held().some((job) => job.wantsRoom)) return 0;
    return fittingJobs(this.desk, Math.min(room, Math.max(1, slots.free)));
  }

  /** While half of those ahead are there still, a question for each one that left would only be more questions. */
  #isEarly(room: number): boolean {
    const { clock, settings } = this.desk.options;
    return room * 2 < settings.claimAhead && clock.nowMs() - this.#claimedAtMs < ROOM_POLL_MS;
  }

  /** Jobs without those that are over and only tidied up; of these no more than may run at once. */
  #unfinished(): number {
    const over = this.held().filter(({ step }) => step === "over").length;
    return this.#jobs.size - Math.min(over, this.desk.options.settings.concurrency);
  }

  #take(claim: Claim): void {
    const { clock, settings, log } = this.desk.options;
    const { claimAhead, killGraceMs } = settings;
    const twins = this.held().filter((job) => job.claim.jobId === claim.jobId);
    const job = new HeldJob(claim, clock.nowMs(), killGraceMs);
    this.#jobs.add(job);
    if (claimAhead === 0) job.onPlaced = () => this.#wake();
    this.#run(job, twins)
      .catch((error: unknown) =>
        log.log("error", "claim.troubled", { jobId: claim.jobId, error, step: "claiming" }),
      )
      .finally(() => {
        job.over();
        job.gone();
        this.#jobs.delete(job);
        if (job.isTerminated) this.#hasToldEnd = true;
        this.#wake();
      })
      .catch(() => undefined);
  }

  async #run(job: HeldJob, twins: readonly HeldJob[]): Promise<void> {
    const { claim } = job;
    // Two entries of one id are one job: the second is looked at again when the first is over, and then it is over as well. One
    // that was handed back, and is here again before all of it has gone, is just the next attempt.
    const isBack = twins.every((twin) => isSameEntry(twin.claim, claim));
    if (twins.length > 0) {
      job.stepAside();
      await Promise.all(twins.map(({ ended }) => ended));
      job.stepBack();
    }
    if (isBack) await runJob(this.desk, job);
    else await this.desk.source.release([claim], "its id is at work");
  }

  #end(reason: unknown): void {
    this.#stop.abort(reason);
    this.#wake();
  }

  /** Waits, but not longer than until a job is over or no more are taken. */
  async #pause(ms: number): Promise<void> {
    if (this.#stop.signal.aborted) return;
    await new Promise<void>((resolve) => {
      const cancel = this.desk.options.clock.after(ms, resolve);
      this.#wake = () => {
        cancel();
        resolve();
      };
    });
  }
}

function isSameEntry(one: Claim, other: Claim): boolean {
  return one.stream === other.stream && one.entryId === other.entryId;
}
