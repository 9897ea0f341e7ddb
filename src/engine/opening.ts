import type { Log, Observer, Settings } from "../core/index.ts";
import { ExecutorError } from "../core/index.ts";
import type { Attempt } from "./calls/attempt.ts";
import type { RunningCalls } from "./calls/running-calls.ts";
import type { TaskLines } from "./calls/task-lines.ts";
import type { DrainOptions, ExecutorState } from "./executor.ts";
import type { HeldJob } from "./jobs/held-job.ts";
import type { JobEngine } from "./jobs/job-engine.ts";
import type { SandboxOwner } from "./sandboxes/sandbox-owner.ts";
import type { Watchers } from "./sandboxes/watchers.ts";
import type { Sessions } from "./sessions/sessions.ts";

/** How long the end waits for sandboxes to be gone, if they need no longer than that; what is left then is reaped by the next life. */
const END_DEADLINE_MS = 30_000;

export interface OpeningOptions {
  readonly lines: TaskLines;
  readonly sessions: Sessions;
  /** Calls that run now. */
  readonly running: RunningCalls<Attempt>;
  jobs(): JobEngine;
  readonly watchers: Watchers;
  readonly observer: Observer;
  readonly log: Log;
  settings(): Settings;
  canAdopt(): boolean;
}

/** Whether calls are taken, and what a pause or the end lets go of. */
export class Opening {
  readonly #options: OpeningOptions;
  #state: ExecutorState = "running";
  #keepsWarm = false;
  #emptied: Promise<unknown> | undefined;
  /** Whoever ended it by force has waited long enough for what is left. */
  #isGivenUp = false;
  /** Ends the wait of a pause for what still runs. */
  #stopPausing = (): void => undefined;

  constructor(options: OpeningOptions) {
    this.#options = options;
  }

  get state(): ExecutorState {
    return this.#state;
  }

  /** Why no call is taken; `undefined` while they are. */
  refusal(): ExecutorError | undefined {
    if (this.#state === "draining") return new ExecutorError("DRAINING");
    return this.#state === "running" ? undefined : new ExecutorError("PAUSED");
  }

  /** Stops a sandbox that has fallen idle while no calls are taken. @returns whether it did. */
  hasStopped(owner: SandboxOwner): boolean {
    if (this.#state === "running" || !owner.isIdle || this.#isKept(owner)) return false;
    owner.stop(this.#state === "draining" ? "drained" : "paused", "ask");
    return true;
  }

  /** A worker has nothing to do: at the end that is its own end. */
  rests(worker: HeldJob): void {
    if (this.#state === "draining") worker.stop("drain", this.#options.settings().stopGraceMs);
    this.#options.watchers.notify();
  }

  async pause(): Promise<{ readonly running: number }> {
    const { jobs, lines, watchers, log } = this.#options;
    if (this.#state === "draining") throw new ExecutorError("DRAINING");
    const isQuiet = (): boolean => lines.owners().length === 0 && jobs().atWork === 0;
    if (this.#state === "running") {
      this.#become("pausing");
      log.log("info", "executor.paused", { running: this.#running });
      this.#clear("paused", new ExecutorError("PAUSED"));
      // Whoever asked waits for so long only; what runs may take longer.
      this.#stopPausing = watchers.when(isQuiet, () => this.#become("paused"));
    }
    await watchers.until(isQuiet, this.#options.settings().pauseWaitMs);
    return { running: this.#running };
  }

  unpause(): void {
    if (this.#state === "draining") throw new ExecutorError("DRAINING");
    if (this.#state === "running") return;
    this.#stopPausing();
    this.#become("running");
    this.#options.log.log("info", "executor.unpaused");
  }

  async drain(options: DrainOptions): Promise<{ readonly cut: number }> {
    const { running, jobs, lines, watchers, log, settings } = this.#options;
    if (this.#state !== "draining") {
      this.#stopPausing();
      this.#become("draining");
      this.#keepsWarm = options.keepWarm && this.#options.canAdopt();
      log.log("info", "executor.draining", { running: this.#running });
      this.#clear("drained", new ExecutorError("DRAINING"));
      jobs().stopResting("drain", settings().stopGraceMs);
    }
    await watchers.until(() => running.size === 0 && jobs().atWork === 0, options.deadlineMs);
    const cut = [...running];
    for (const attempt of cut)
      attempt.expire(new ExecutorError("DRAINING", { reason: "its time to finish is over" }));
    const { isForced = false } = options;
    const stopped = this.#stopAll(isForced);
    const hasGrace = !isForced && (jobs().atWork > 0 || lines.owners().some((owner) => owner.hasGrace));
    this.#emptied ??= this.#untilEmpty(
      hasGrace ? Math.max(END_DEADLINE_MS, settings().stopGraceMs + 10_000) : END_DEADLINE_MS,
    );
    if (isForced) await this.#giveUpLate();
    await this.#emptied;
    return { cut: cut.length + stopped };
  }

  /** @returns how many jobs it stopped. */
  #stopAll(isForced: boolean): number {
    const { jobs, lines, settings } = this.#options;
    for (const owner of lines.owners()) {
      if (this.#isKept(owner)) continue;
      owner.stop("drained", "ask");
      if (isForced) owner.hasten();
    }
    return jobs().stopAll("drain", isForced ? 0 : settings().stopGraceMs);
  }

  /** Waited for once, whoever asks again: what is not gone by then will not be. */
  async #untilEmpty(patienceMs: number): Promise<void> {
    await this.#options.watchers.until(() => this.#isGivenUp || this.#isEmpty(), patienceMs);
  }

  /** By force it takes no longer than an end without any grace. */
  async #giveUpLate(): Promise<void> {
    const { watchers } = this.#options;
    await watchers.until(() => this.#isEmpty(), END_DEADLINE_MS);
    this.#isGivenUp = true;
    watchers.notify();
  }

  #isEmpty(): boolean {
    const { jobs, lines } = this.#options;
    return jobs().atWork === 0 && lines.owners().every((owner) => this.#isKept(owner));
  }

  /** Calls, jobs, and workers that have something to do. */
  get #running(): number {
    return this.#options.running.size + this.#options.jobs().busy;
  }

  #become(state: ExecutorState): void {
    this.#state = state;
    this.#options.observer.executorChanged(state);
  }

  /** Lets go of everything that does not run a call or a job: for a pause or the end. */
  #clear(cause: "paused" | "drained", error: ExecutorError): void {
    const { sessions, jobs, lines } = this.#options;
    sessions.endAll(error.message);
    jobs().refuse(() => error);
    for (const line of lines.all()) {
      line.refuse(() => error);
      for (const start of [...line.starts]) start.abort(error);
      for (const owner of [...line.owners]) if (!this.#isKept(owner)) owner.retire(cause);
    }
  }

  /** Whether the executor's end leaves it warm for the next life. */
  #isKept(owner: SandboxOwner): boolean {
    return this.#keepsWarm && (owner.state.type === "hot" || owner.state.type === "frozen");
  }
}
