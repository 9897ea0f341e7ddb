import type {
  ClassReport,
  Clock,
  DriverCapabilities,
  DriverHealth,
  DriverSettings,
  IsolationClass,
  JobLeftover,
  JobSandbox,
  JobSandboxSpec,
  Leftover,
  NetworkReport,
  PeerAddress,
  ResolvedImage,
  ResolveOptions,
  Sandbox,
  SandboxDriver,
  SandboxSpec,
  WorkDir,
  WorkerSandbox,
  WorkerSpec,
} from "../../core/index.ts";
import { ExecutorError, NETWORK_POLICIES } from "../../core/index.ts";
import { FakeJob, fakeJobLeftover } from "./fake-job.ts";
import { FakeSandbox } from "./fake-sandbox.ts";
import { FakeWorker } from "./fake-worker.ts";

/** What the next operation of a kind does instead of simply working. */
export type Fault = "none" | "reject" | "hang";
export type FaultKind = "resolve" | "start" | "freeze" | "stop" | "startJob" | "end" | "removeJob";

export interface FakeDriverOptions {
  readonly clock: Clock;
  /** How long each operation takes, in the clock's milliseconds. */
  readonly startMs?: number;
  readonly freezeMs?: number;
  readonly stopMs?: number;
  readonly capabilities?: Partial<DriverCapabilities>;
}

/** A driver without sandboxes: scripted behaviour and faults in whatever time its clock keeps. For tests only. */
export class FakeDriver implements SandboxDriver {
  readonly name = "fake";
  readonly capabilities: DriverCapabilities;
  /** Whether its sandboxes take the whole grace that they are given to end, and no more. */
  usesGrace = false;
  /** Every sandbox that is not gone, frozen ones included. */
  readonly live = new Set<FakeSandbox>();
  readonly started: SandboxSpec[] = [];
  readonly resolved: string[] = [];
  /** Content of each image; an image that is not here is found under its own name. */
  readonly digests = new Map<string, string>();
  readonly missing = new Set<string>();
  leftoverSandboxes: Leftover[] = [];
  /** Every job that is not removed, ended ones included. */
  readonly liveJobs = new Set<FakeJob>();
  readonly startedJobs: JobSandboxSpec[] = [];
  leftoverJobs: JobLeftover[] = [];
  readonly startedWorkers: WorkerSpec[] = [];
  workersNeedImage = true;
  /** Set to be unhealthy. */
  ailment: string | undefined;
  /** Set to refuse every shared folder. */
  sharedDirFault: ExecutorError | undefined;
  readonly #options: FakeDriverOptions;
  readonly #faults: Record<FaultKind, Fault[]> = {
    resolve: [],
    start: [],
    freeze: [],
    stop: [],
    startJob: [],
    end: [],
    removeJob: [],
  };

  constructor(options: FakeDriverOptions) {
    this.#options = options;
    this.capabilities = {
      isolation: ["container"],
      canFreeze: true,
      canAdopt: true,
      ...options.capabilities,
    };
  }

  /** The next operations of this kind go wrong in this way, one entry each. */
  script(kind: FaultKind, ...faults: readonly Fault[]): void {
    this.#faults[kind].push(...faults);
  }

  /** What was scripted and has not happened yet never will. */
  heal(): void {
    for (const faults of Object.values(this.#faults)) faults.length = 0;
  }

  async resolve(image: string, _options: ResolveOptions, signal: AbortSignal): Promise<ResolvedImage> {
    await this.perform("resolve", 0, signal);
    this.resolved.push(image);
    if (this.missing.has(image)) throw new ExecutorError("IMAGE_NOT_FOUND", { image });
    return { digest: this.digests.get(image) ?? `sha256:${image}`, wasPulled: false };
  }

  async checkImage(image: string, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    if (this.missing.has(image)) throw new ExecutorError("IMAGE_NOT_FOUND", { image });
  }

  async start(spec: SandboxSpec, signal: AbortSignal): Promise<Sandbox> {
    const sandbox = new FakeSandbox(this, spec);
    this.started.push(spec);
    this.live.add(sandbox);
    try {
      await this.perform("start", this.#options.startMs ?? 0, signal);
    } catch (error) {
      this.live.delete(sandbox);
      throw error;
    }
    return sandbox;
  }

  async leftovers(_signal: AbortSignal): Promise<readonly Leftover[]> {
    return this.leftoverSandboxes;
  }

  async startJob(spec: JobSandboxSpec, signal: AbortSignal): Promise<JobSandbox> {
    this.startedJobs.push(spec);
    return await this.#begin(new FakeJob(this, spec, this.#options.clock.wallMs()), signal);
  }

  async startWorker(spec: WorkerSpec, signal: AbortSignal): Promise<WorkerSandbox> {
    this.startedWorkers.push(spec);
    return await this.#begin(new FakeWorker(this, spec, this.#options.clock.wallMs()), signal);
  }

  async #begin<J extends FakeJob>(job: J, signal: AbortSignal): Promise<J> {
    this.liveJobs.add(job);
    try {
      await this.perform("startJob", this.#options.startMs ?? 0, signal);
    } catch (error) {
      this.liveJobs.delete(job);
      throw error;
    }
    return job;
  }

  async jobLeftovers(_signal: AbortSignal): Promise<readonly JobLeftover[]> {
    return this.leftoverJobs;
  }

  /** Hands every live job to a driver of the next life, as its leftovers. */
  leaveJobsTo(next: FakeDriver): void {
    for (const job of this.liveJobs) {
      next.liveJobs.add(job);
      next.leftoverJobs.push(fakeJobLeftover(next, job));
      job.moveTo(next);
    }
    this.liveJobs.clear();
  }

  async checkSharedDir(
    _dir: Pick<WorkDir, "localPath" | "hostPath">,
    _image: ResolvedImage,
    signal: AbortSignal,
  ): Promise<void> {
    signal.throwIfAborted();
    if (this.sharedDirFault !== undefined) throw this.sharedDirFault;
  }

  async health(_signal: AbortSignal): Promise<DriverHealth> {
    if (this.ailment !== undefined) return { isHealthy: false, reason: this.ailment };
    return { isHealthy: true, detail: "fake" };
  }

  classes(): readonly ClassReport[] {
    return this.capabilities.isolation.map((isolation) => ({
      isolation,
      runtime: undefined,
      state: "usable",
      reasons: [],
      sight: undefined,
    }));
  }

  async probe(_signal: AbortSignal, _isolation?: IsolationClass): Promise<readonly ClassReport[]> {
    return this.classes();
  }

  configure(_settings: DriverSettings): void {
    // Its classes are scripted, not configured.
  }

  networks(): NetworkReport {
    return { default: "internal", offered: NETWORK_POLICIES, isFiltered: true, reasons: [] };
  }

  isTaskAddress(_peer: PeerAddress): boolean {
    return false;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    // Nothing of the driver itself is held.
  }

  /** Takes the time that an operation takes, and goes wrong if it was told to. */
  async perform(kind: FaultKind, ms: number, signal?: AbortSignal): Promise<void> {
    signal?.throwIfAborted();
    const fault = this.#faults[kind].shift() ?? "none";
    await new Promise<void>((resolve, reject) => {
      const cancel =
        fault === "hang" ? (): void => undefined : this.#options.clock.after(ms, () => done(resolve));
      const onAbort = (): void => done(() => reject(signal?.reason));
      const done = (finish: () => void): void => {
        cancel();
        signal?.removeEventListener("abort", onAbort);
        finish();
      };
      signal?.addEventListener("abort", onAbort, { once: true });
    });
    if (fault === "reject")
      throw new ExecutorError(
        kind === "start" || kind === "startJob" ? "SANDBOX_START_FAILED" : "ENGINE_FAILED",
      );
  }

  get freezeMs(): number {
    return this.#options.freezeMs ?? 0;
  }

  get stopMs(): number {
    return this.#options.stopMs ?? 0;
  }
}
