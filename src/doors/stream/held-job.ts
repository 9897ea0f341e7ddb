import type { RequestEntry } from "../../contract/executer-tracker/index.ts";
import type { JobStep } from "../../contract/v1/queue.ts";
import type { Claim } from "../../core/index.ts";
import type { JobEnding, JobStop, RunningJob } from "../../engine/jobs/jobs.ts";
import { orAbort } from "../../std/index.ts";
import type { DiskShare } from "./disk/job-disk.ts";

/** Why a job goes no further, as the reason of its signals. */
export class JobHalt extends Error {
  readonly by: "killed" | "lease" | "drain";

  constructor(by: JobHalt["by"]) {
    super(`the job goes no further: ${by}`);
    this.by = by;
  }
}

/** Made once: by itself an abort makes an error of its own, with its stack. */
const NOT_HERE = new Error("the job is over here");

/**
 * One claimed job from its claim to its end, and everything that can be asked of it meanwhile:
 *
 *     waiting ─► staging ─► starting ─► running ─► packing ─► publishing ─► over
 *
 * `kill` before it runs ends it there; once it runs its processes are ended; after that its results are still published, and
 * it counts as killed all the same. `lose` (another host may have it) ends every step at once.
 */
export class HeldJob {
  /** Another one once the queue has counted a new attempt. */
  claim: Claim;
  readonly sinceMs: number;
  /** What it asks for, once that has been read. */
  request: RequestEntry | undefined;
  /** Where its result belongs in the store, once that has been read; it may be all that can be read. */
  taskDir: string | undefined;
  /** Whether its start has been told. */
  isAnnounced = false;
  /** Whether its end was told as the end of this executer. */
  isTerminated = false;
  /** How its command ended, once it has. */
  ending: JobEnding | undefined;
  /** Whether the queue is about to count its attempt anew: its claim may be an old one already. */
  isResuming = false;
  /** Why an earlier life of this daemon had asked it to end, if that life did not see its end. */
  stoppedBy: JobStop | undefined;
  /** Resolves when all that is to be written down about its end is written. */
  noted: Promise<void> = Promise.resolve();
  /** What it may fill of the disk, once that is known. */
  disk: DiskShare | undefined;
  /** Called when it wants room no longer. */
  onPlaced: () => void = () => undefined;
  /** Resolves when nothing of it is left here. */
  readonly ended: Promise<void>;
  #end: () => void = () => undefined;
  #step: JobStep | "over" = "waiting";
  #isMeantToRun = true;
  #running: RunningJob | undefined;
  #isKilled = false;
  #isDraining = false;
  #isLost = false;
  #listening: Promise<void> | undefined;
  readonly #killGraceMs: number;
  /** For what comes before its command runs. */
  readonly #begin = new AbortController();
  /** For everything. */
  readonly #hold = new AbortController();
  /** For what is sent to it. */
  readonly #hear = new AbortController();

  constructor(claim: Claim, sinceMs: number, killGraceMs: number) {
    this.claim = claim;
    this.sinceMs = sinceMs;
    this.ended = new Promise((resolve) => {
      this.#end = resolve;
    });
    this.#killGraceMs = killGraceMs;
  }

  get step(): JobStep | "over" {
    return this.#step;
  }

  /** Whether it has got no room yet and is to get some. */
  get wantsRoom(): boolean {
    return this.#isMeantToRun && this.#step === "waiting";
  }

  get isKilled(): boolean {
    return this.#isKilled;
  }

  get isLost(): boolean {
    return this.#isLost;
  }

  get running(): RunningJob | undefined {
    return this.#running;
  }

  /** Aborts with a {@link JobHalt} when it must not start any more. */
  get beginSignal(): AbortSignal {
    return this.#begin.signal;
  }

  /** Aborts with a {@link JobHalt} when this host holds it no longer. */
  get holdSignal(): AbortSignal {
    return this.#hold.signal;
  }

  advance(step: JobStep | "over"): void {
    const wantedRoom = this.wantsRoom;
    this.#step = step;
    if (wantedRoom && step !== "waiting") this.onPlaced();
  }

  /** It will not be run here, or not before something else has happened that has nothing to do with room. */
  stepAside(): void {
    if (!this.wantsRoom) return;
    this.#isMeantToRun = false;
    this.onPlaced();
  }

  /** It may be run after all. */
  stepBack(): void {
    this.#isMeantToRun = true;
  }

  /** @param looked resolves once it has been heard what was asked of it before it came here. */
  listens(looked: Promise<void>): void {
    this.#listening = looked.then(() => {
      this.#listening = undefined;
    });
  }

  /** Aborts when what is sent to it is no more for this host. */
  get hearSignal(): AbortSignal {
    return this.#hear.signal;
  }

  /** What is sent to it from now on is left for whoever has it next, or for nobody. */
  stopHearing(): void {
    this.#hear.abort(NOT_HERE);
  }

  /** Waits until it is known what was asked of it before. @throws the signal's reason. */
  async hasListened(signal: AbortSignal): Promise<void> {
    if (this.#listening !== undefined) await orAbort(this.#listening, signal);
    signal.throwIfAborted();
  }

  /** Its command runs. What was asked while it started is done now. */
  runs(running: RunningJob): void {
    this.#running = running;
    this.advance("running");
    if (this.isLost) running.stop("lease", this.#killGraceMs);
    else if (this.#isKilled) running.stop("killed", this.#killGraceMs);
  }

  /** @returns whether it was there to be killed. */
  kill(): boolean {
    if (this.#step === "over") return false;
    this.#isKilled = true;
    this.#begin.abort(new JobHalt("killed"));
    this.#running?.stop("killed", this.#killGraceMs);
    return true;
  }

  /** This host's lease is gone. */
  lose(): void {
    this.#isLost = true;
    this.stopHearing();
    const halt = new JobHalt("lease");
    this.#begin.abort(halt);
    this.#hold.abort(halt);
    this.#running?.stop("lease", this.#killGraceMs);
  }

  /** The daemon ends: what has not started does not start. */
  drain(): void {
    this.#isDraining = true;
    if (this.#running === undefined) this.#begin.abort(new JobHalt("drain"));
  }

  get isDraining(): boolean {
    return this.#isDraining;
  }

  over(): void {
    this.advance("over");
  }

  /** Everything that it had is gone. */
  gone(): void {
    this.disk?.release();
    this.#end();
  }
}
