import type { ClassReport, Log } from "../../../core/index.ts";
import { ExecutorError, isolationRefusal, judgeClass } from "../../../core/index.ts";
import { orAbort, PROBE_CPU_MILLIS, systemClock, withDeadline } from "../../../std/index.ts";
import type { ProcessWorld } from "../world.ts";
import type { DoorAddress } from "./probe-process.ts";
import { runProbe } from "./probe-process.ts";
import type { ProcessReach } from "./reach.ts";

/** How long a start waits for the proof. */
const PROOF_DEADLINE_MS = 15_000;

export interface ProcessClassOptions {
  readonly reach: ProcessReach;
  readonly log: Log | undefined;
  /** Resolves once the executor's own doors listen, with where. */
  readonly doors: () => Promise<readonly DoorAddress[]>;
  /** Runs a test alongside, under a signal that aborts, or has, when the driver closes. */
  spawn(test: (signal: AbortSignal) => Promise<void>): void;
}

/** The one class of this driver, and what a test process in it showed. */
export class ProcessClass {
  readonly #world: ProcessWorld;
  readonly #options: ProcessClassOptions;
  #report: ClassReport = {
    isolation: "process",
    runtime: undefined,
    state: "unproven",
    reasons: [],
    sight: undefined,
  };
  #testing: Promise<void> | undefined;
  #failure: ExecutorError | undefined;

  constructor(world: ProcessWorld, options: ProcessClassOptions) {
    this.#world = world;
    this.#options = options;
  }

  reports(): readonly ClassReport[] {
    return [this.#report];
  }

  /** Callers at once share one test. */
  async probe(signal: AbortSignal): Promise<readonly ClassReport[]> {
    await orAbort(this.#test(), signal);
    return this.reports();
  }

  /** Begins a test behind everybody's back. */
  begin(): void {
    this.#test().catch(() => undefined); // never: a test does not reject
  }

  /** Resolves once the class is known to be usable. @throws {@link ExecutorError} ISOLATION_UNAVAILABLE; why it could not be tested. */
  async prove(signal: AbortSignal): Promise<void> {
    if (this.#report.state === "unproven") {
      const facts = { reason: "the probe of the class process did not end in time" };
      const deadline = { ms: PROOF_DEADLINE_MS, code: "ENGINE_UNAVAILABLE", facts, parent: signal } as const;
      await withDeadline(deadline, (within) => orAbort(this.#test(), within));
    }
    if (this.#report.state === "unusable") throw isolationRefusal("process", this.reports());
    if (this.#report.state === "unproven") throw this.#failure ?? new ExecutorError("ENGINE_UNAVAILABLE");
  }

  #test(): Promise<void> {
    this.#testing ??= new Promise((resolve) => {
      this.#options.spawn(async (signal) => {
        try {
          if (!signal.aborted) await this.#testOnce(signal);
        } finally {
          this.#testing = undefined;
          resolve();
        }
      });
    });
    return this.#testing;
  }

  async #testOnce(signal: AbortSignal): Promise<void> {
    const beganMs = systemClock.nowMs();
    const before = this.#report;
    try {
      this.#report = { ...before, ...(await this.#look(signal)) };
      this.#failure = undefined;
    } catch (thrown) {
      if (signal.aborted) return;
      this.#failure = ExecutorError.from(thrown);
      if (before.state === "unproven") {
        const reasons = [`its probe could not be carried out: ${this.#failure.message}`];
        this.#report = { ...before, reasons };
      }
    }
    this.#tell(before, Math.round(systemClock.nowMs() - beganMs));
  }

  async #look(signal: AbortSignal): Promise<Pick<ClassReport, "state" | "reasons" | "sight">> {
    const findings = await runProbe(this.#world, await orAbort(this.#options.doors(), signal), signal);
    const { limits } = this.#options.reach;
    return judgeClass({
      isolation: "process",
      findings,
      hostKernel: findings.kernel,
      cpuMillis: PROBE_CPU_MILLIS,
      limits: "required",
      // What this host has no cgroup for was told when the driver was opened.
      knownMissing: (["cpu", "memory", "pids"] as const).filter((kind) => !limits.includes(kind)),
      isTurnedAway: this.#world.uids !== undefined || this.#world.networks !== undefined,
      needsNoNewPrivileges: this.#world.confinement.bubblewrap !== undefined,
    });
  }

  #tell(before: ClassReport, tookMs: number): void {
    const { log } = this.#options;
    const { state, reasons, sight } = this.#report;
    const isNews = before.state !== state || before.reasons.join() !== reasons.join();
    const facts = { isolation: "process", state, reasons, kernel: sight?.kernel, tookMs };
    if (state === "usable") log?.log(isNews ? "info" : "debug", "isolation.probed", facts);
    else log?.log(isNews ? "warn" : "debug", "isolation.unusable", facts);
  }
}
