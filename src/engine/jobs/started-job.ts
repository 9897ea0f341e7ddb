import type {
  IsolationClass,
  JobMark,
  JobSandbox,
  LogChunk,
  LogTail,
  SandboxEnd,
  SandboxId,
  SandboxUsage,
  TaskSpec,
} from "../../core/index.ts";
import { orAbort, settledWithin, withDeadline } from "../../std/index.ts";
import { endUnless } from "../sandboxes/end-unless.ts";
import { untilRemoved } from "../sandboxes/until-removed.ts";
import type { HeldJob } from "./held-job.ts";
import { jobEnding, jobOver } from "./job-ending.ts";
import type { JobHost } from "./job-host.ts";
import type { Adopting, JobEnding, JobStop, RunningJob } from "./jobs.ts";

/** A job that has ended must not wait longer for its figures. */
const USAGE_DEADLINE_MS = 2_000;
/** Nor may what is written down of its end hold that up. */
const NOTE_DEADLINE_MS = 1_000;

/** The one owner of a job whose command has started: it alone ends and removes its sandbox. */
export class StartedJob implements RunningJob {
  readonly ending: Promise<JobEnding>;
  onStop?: (by: JobStop) => Promise<void>;
  readonly #host: JobHost;
  readonly #job: HeldJob;
  readonly #sandbox: JobSandbox;
  readonly #deadlineMs: number | undefined;
  #cancelDeadline = (): void => undefined;
  #stop: JobStop | undefined;
  /** An earlier life had asked it to end. */
  readonly #wasStopped: boolean;
  #noted: Promise<void> | undefined;
  #hasEnded = false;
  #lastUsage: SandboxUsage | undefined;
  #settled: Promise<void> | undefined;

  constructor(host: JobHost, job: HeldJob, sandbox: JobSandbox, { deadlineMs, stoppedBy }: Adopting) {
    this.#host = host;
    this.#job = job;
    this.#sandbox = sandbox;
    this.#deadlineMs = deadlineMs;
    this.#wasStopped = stoppedBy !== undefined;
    this.#stop = stoppedBy;
    job.started(sandbox);
    if (this.#wasStopped) job.advance("stopping");
    job.giveUp = () => undefined;
    job.stop = (by, graceMs) => this.stop(by, graceMs);
    this.ending = new Promise((resolve) => host.engine.track(this.#watch(resolve)));
    this.#armDeadline();
  }

  get sandboxId(): SandboxId {
    return this.#job.sandboxId;
  }

  get mark(): JobMark {
    return this.#job.mark;
  }

  get task(): TaskSpec {
    return this.#job.task;
  }

  get label(): string {
    return this.#sandbox.label;
  }

  get isolation(): IsolationClass {
    return this.#sandbox.isolation;
  }

  get imageDigest(): string {
    return this.#sandbox.imageDigest;
  }

  get gpuIds(): readonly string[] {
    return this.#job.gpuIds;
  }

  get startedAtMs(): number {
    return this.#sandbox.startedAtMs;
  }

  stop(by: JobStop, graceMs: number): void {
    if (this.#hasEnded) return;
    if (this.#stop === undefined) {
      this.#stop = by;
      this.#job.advance("stopping");
      this.#noted = this.#note(by);
    }
    // A later one may only hasten what the first has begun.
    this.#host.engine.track(this.#end(graceMs));
  }

  async usage(signal: AbortSignal): Promise<SandboxUsage> {
    const usage = await this.#sandbox.usage(signal);
    this.#lastUsage = { ...usage, isEarlier: true };
    return usage;
  }

  tailLog(maxBytes: number, signal: AbortSignal): Promise<LogTail> {
    return this.#sandbox.tailLog(maxBytes, signal);
  }

  followLog(tailBytes: number, signal: AbortSignal): AsyncIterable<LogChunk> {
    return this.#sandbox.followLog(tailBytes, signal);
  }

  settle(outputBytes: number): Promise<void> {
    this.#settled ??= this.#settle(outputBytes);
    return this.#settled;
  }

  async #watch(resolve: (ending: JobEnding) => void): Promise<void> {
    const { clock, ending, log } = this.#host.engine;
    const end = await endUnless(this.#sandbox.ended, ending);
    this.#cancelDeadline();
    // The executor lets go of a job that runs: its next life takes it over, and knows how it ends.
    if (end === undefined) return;
    this.#hasEnded = true;
    this.#job.endedAtMs = clock.nowMs();
    const ranMs = Math.max(0, clock.wallMs() - this.#sandbox.startedAtMs);
    this.#job.advance("settling");
    const usage = await this.#figures(end);
    const asked = { stop: this.#stop, wasStopped: this.#wasStopped };
    const how = jobEnding({ end, ...asked, usage, ranMs, deadlineMs: this.#deadlineMs });
    const { jobId, attempt } = this.mark;
    log.log("info", "job.ended", { jobId, attempt, sandboxId: this.sandboxId, ...how });
    this.#job.usage = usage;
    resolve(how);
  }

  /** What it had used at its end, or when it was last looked at. */
  async #figures(end: SandboxEnd): Promise<SandboxUsage | undefined> {
    if (end.type === "lost") return this.#lastUsage;
    const { clock } = this.#host.engine;
    try {
      return await withDeadline({ ms: USAGE_DEADLINE_MS, code: "ENGINE_UNAVAILABLE", clock }, (signal) =>
        orAbort(this.#sandbox.usage(signal), signal),
      );
    } catch {
      // An engine that is away must not keep a job from its end.
      return this.#lastUsage;
    }
  }

  #armDeadline(): void {
    if (this.#deadlineMs === undefined || this.#hasEnded) return;
    const { clock, settings } = this.#host.engine;
    const ranMs = Math.max(0, clock.wallMs() - this.#sandbox.startedAtMs);
    this.#cancelDeadline = clock.after(Math.max(0, this.#deadlineMs - ranMs), () =>
      this.stop("time", settings().stopGraceMs),
    );
  }

  /** An engine that will not end it is asked until it does; what is left of its grace stays the job's own. */
  async #end(graceMs: number): Promise<void> {
    const { clock } = this.#host.engine;
    const overAtMs = clock.nowMs() + graceMs;
    if (this.#noted !== undefined) await this.#noted;
    await untilRemoved(this.#host.engine, this.#facts(), async () => {
      if (!this.#hasEnded) await this.#sandbox.end(Math.max(0, overAtMs - clock.nowMs()));
    });
  }

  #note(by: JobStop): Promise<void> | undefined {
    const noted = this.onStop?.(by);
    return noted && settledWithin(noted, NOTE_DEADLINE_MS, this.#host.engine.clock);
  }

  async #settle(outputBytes: number): Promise<void> {
    if (!this.#hasEnded) this.stop("killed", 0);
    const ending = await this.ending;
    const { engine } = this.#host;
    this.#job.bytesOut = outputBytes;
    this.#job.over(jobOver(ending));
    const { image } = this.#job.task;
    await engine.lastWords.keep(this.#sandbox, { sandboxId: this.sandboxId, image, jobId: this.mark.jobId });
    this.#job.advance("removing");
    await new Promise<void>((resolve) => {
      const remove = async (): Promise<void> => {
        try {
          await this.#sandbox.remove();
        } catch (error) {
          // From here on it is tried again behind the caller's back.
          resolve();
          throw error;
        }
      };
      const removed = async (): Promise<void> => {
        if (await untilRemoved(engine, this.#facts(), remove)) this.#job.release();
        resolve();
      };
      engine.track(removed());
    });
  }

  #facts(): { readonly sandboxId: SandboxId; readonly label: string } {
    return { sandboxId: this.sandboxId, label: this.label };
  }
}
