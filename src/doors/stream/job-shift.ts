import type { Claim } from "../../core/index.ts";
import { pause } from "../../std/index.ts";
import type { JobDesk } from "./desk.ts";
import { HeldJob } from "./held-job.ts";
import { taskOf } from "./plan-job.ts";
import { runJob } from "./run-job.ts";

/** How long one question for jobs waits for an answer; a stop or a pause takes effect after it at the latest. */
const CLAIM_WAIT_MS = 2_000;
/** The pause before it is asked again whether there is room. */
const ROOM_POLL_MS = 250;
const TROUBLE_MS = 1_000;
/** Jobs of an earlier life that are not asked for after this many leases are somebody else's by now. */
const UNCLAIMED_LEASES = 3;

/** The jobs that this host holds: it asks for as many as fit, and sees each to its end. */
export class JobShift {
  readonly desk: JobDesk;
  readonly #jobs = new Set<HeldJob>();
  readonly #stop = new AbortController();
  #wake = new AbortController();
  #hasToldEnd = false;

  constructor(desk: JobDesk) {
    this.desk = desk;
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
    const onStop = (): void => this.#stop.abort(signal.reason);
    signal.addEventListener("abort", onStop, { once: true });
    if (signal.aborted) onStop();
    const stop = this.#stop.signal;
    while (!stop.aborted) {
      const count = this.#wanted();
      if (count === 0) {
        await this.#pause(ROOM_POLL_MS);
        continue;
      }
      try {
        const claims = await source.claim(count, CLAIM_WAIT_MS, stop);
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

  /** Ends what an earlier life started and what is not this host's any more. */
  async reapUnclaimed(signal: AbortSignal): Promise<void> {
    const { leftovers, options, source, folders } = this.desk;
    let connectedMs = 0;
    // Only time in which the queue could have handed them out counts.
    while (leftovers.size > 0 && connectedMs < options.settings.leaseMs * UNCLAIMED_LEASES) {
      await pause(options.clock, ROOM_POLL_MS, signal);
      if (signal.aborted) return;
      if (source.state.type === "connected") connectedMs += ROOM_POLL_MS;
    }
    for (const [jobId, leftover] of [...leftovers]) {
      leftovers.delete(jobId);
      options.log.log("warn", "claim.lost", { jobId, attempt: leftover.mark.attempt, step: "adopting" });
      await leftover.reap().catch((error: unknown) => {
        options.log.log("warn", "claim.troubled", { jobId, error, step: "reaping" });
      });
      await folders.remove(jobId).catch(() => undefined);
    }
  }

  /** No more jobs; those that have not started go back. */
  drain(): void {
    this.#stop.abort(new Error("the door takes no more jobs"));
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
    if (executor.view().state !== "running") return 0;
    // They run already, whatever the limits are now; the queue hands out this host's own first.
    const owed = leftovers.size - this.counts().waiting;
    if (owed > 0) return owed;
    const room = settings.concurrency + settings.claimAhead - this.#jobs.size;
    if (room <= 0) return 0;
    if (settings.claimAhead > 0) return room;
    return this.#fits() ? Math.min(room, Math.max(1, slots.free)) : 0;
  }

  /** Whether a job of some type would get room at once. */
  #fits(): boolean {
    const { types, executor, defaults } = this.desk.options;
    const standard = defaults();
    return [...types.values()].some((type) => executor.jobs.hasRoomFor(taskOf(type, standard), "stream"));
  }

  #take(claim: Claim): void {
    const { options, source } = this.desk;
    const { clock, settings, log } = options;
    const twin = this.held().find((job) => job.claim.jobId === claim.jobId);
    const job = new HeldJob(claim, clock.nowMs(), settings.killGraceMs);
    this.#jobs.add(job);
    // Two entries of one id are one job: the second is looked at again when the first is over, and then it is over as well.
    const run =
      twin === undefined
        ? runJob(this.desk, job)
        : twin.ended.then(async () => await source.release([claim], "its id is at work"));
    run
      .catch((error: unknown) =>
        log.log("error", "claim.troubled", { jobId: claim.jobId, error, step: "claiming" }),
      )
      .finally(() => {
        job.over();
        job.gone();
        this.#jobs.delete(job);
        if (job.isTerminated) this.#hasToldEnd = true;
        this.#wake.abort();
      })
      .catch(() => undefined);
  }

  /** Waits, but not longer than until a job is over. */
  async #pause(ms: number): Promise<void> {
    this.#wake = new AbortController();
    const either = new AbortController();
    const end = (): void => either.abort();
    const stop = this.#stop.signal;
    this.#wake.signal.addEventListener("abort", end, { once: true });
    stop.addEventListener("abort", end, { once: true });
    await pause(this.desk.options.clock, ms, stop.aborted ? stop : either.signal);
    stop.removeEventListener("abort", end);
  }
}
