import type { RequestEntry } from "../../contract/executer-tracker/index.ts";
import type { JobStep } from "../../contract/v1/queue.ts";
import type { Claim } from "../../core/index.ts";
import type { RunningJob } from "../../engine/jobs/jobs.ts";

/** Why a job goes no further, as the reason of its signals. */
export class JobHalt extends Error {
  readonly by: "killed" | "lease" | "drain";

  constructor(by: JobHalt["by"]) {
    super(`the job goes no further: ${by}`);
    this.by = by;
  }
}

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
  /** Whether its start has been told. */
  isAnnounced = false;
  /** Whether its end was told as the end of this executer. */
  isTerminated = false;
  /** Resolves when nothing of it is left here. */
  readonly ended: Promise<void>;
  #end: () => void = () => undefined;
  #step: JobStep | "over" = "waiting";
  #running: RunningJob | undefined;
  #isKilled = false;
  #isDraining = false;
  #isLost = false;
  readonly #killGraceMs: number;
  /** For what comes before its command runs. */
  readonly #begin = new AbortController();
  /** For everything. */
  readonly #hold = new AbortController();

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
    this.#step = step;
  }

  /** Its command runs. What was asked while it started is done now. */
  runs(running: RunningJob): void {
    this.#running = running;
    this.#step = "running";
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
    this.#step = "over";
  }

  /** Everything that it had is gone. */
  gone(): void {
    this.#end();
  }
}
