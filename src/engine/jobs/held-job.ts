import type {
  DoorName,
  ExecutorError,
  IsolationClass,
  JobEnd,
  JobMark,
  JobSandbox,
  JobState,
  JobStory,
  SandboxId,
  SandboxUsage,
  TaskKey,
  TaskSpec,
} from "../../core/index.ts";
import { advanceJob, taskKey } from "../../core/index.ts";
import type { JobHost } from "./job-host.ts";
import type { JobStop } from "./jobs.ts";

export interface HeldJobOptions {
  readonly sandboxId: SandboxId;
  readonly mark: JobMark;
  readonly door: DoorName;
  readonly task: TaskSpec;
  /** When it asked for room; the clock's milliseconds. */
  readonly acceptedAtMs: number;
  readonly imageDigest?: string;
  readonly serves?: string | undefined;
}

/** How an attempt at a job ended, and why if it is not done. */
export interface JobOver {
  readonly end: JobEnd;
  readonly error: ExecutorError | undefined;
}

/**
 * One job that holds room here, from its booking until nothing of it is left: the one place that advances its state and gives
 * its reservation back, exactly once.
 */
export class HeldJob implements JobStory {
  readonly sandboxId: SandboxId;
  readonly mark: JobMark;
  readonly door: DoorName;
  readonly task: TaskSpec;
  readonly taskKey: TaskKey;
  readonly serves: string | undefined;
  acceptedAtMs: number;
  readonly heldSinceMs: number;
  readonly gpuIds: readonly string[];
  imageDigest: string | undefined;
  beganAtMs: number | undefined;
  resolvedAtMs: number | undefined;
  startedAtMs: number | undefined;
  endedAtMs: number | undefined;
  usage: SandboxUsage | undefined;
  bytesIn = 0;
  bytesOut = 0;
  readonly #host: JobHost;
  #state: JobState;
  #sandbox: JobSandbox | undefined;
  #over: JobOver | undefined;
  #isResting = false;
  /** Ends its command; set once that runs. */
  stop: (by: JobStop, graceMs: number) => void = () => undefined;
  /** Gives it up before its command runs, or before anybody takes it over; set for as long as that can be. */
  giveUp: (why: ExecutorError) => void = () => undefined;

  constructor(host: JobHost, options: HeldJobOptions, state: "reserved" | "leftover") {
    this.#host = host;
    this.sandboxId = options.sandboxId;
    this.mark = options.mark;
    this.door = options.door;
    this.task = options.task;
    this.taskKey = taskKey(options.task);
    this.serves = options.serves;
    this.acceptedAtMs = options.acceptedAtMs;
    this.imageDigest = options.imageDigest;
    this.heldSinceMs = host.engine.clock.nowMs();
    this.gpuIds = host.engine.books.heldBy(options.sandboxId)?.gpuIds ?? [];
    this.#state = state;
  }

  get state(): JobState {
    return this.#state;
  }

  get isolation(): IsolationClass | undefined {
    return this.#sandbox?.isolation;
  }

  get end(): JobEnd | undefined {
    return this.#over?.end;
  }

  get error(): ExecutorError | undefined {
    return this.#over?.error;
  }

  /** `undefined` before its command has started. */
  get sandbox(): JobSandbox | undefined {
    return this.#sandbox;
  }

  /** A worker that serves nobody at the moment: a pause does not wait for it, and the end does not let it go on. */
  get isResting(): boolean {
    return this.#isResting && this.#state === "running";
  }

  rest(isResting: boolean): void {
    if (this.#isResting === isResting) return;
    this.#isResting = isResting;
    if (this.isResting) this.#host.rests(this);
  }

  /** It is on its executor's list now. */
  listed(): void {
    this.#host.changed(this, undefined);
  }

  advance(to: JobState): void {
    const from = this.#state;
    this.#state = advanceJob(from, to);
    this.#host.changed(this, from);
  }

  started(sandbox: JobSandbox): void {
    const { clock } = this.#host.engine;
    this.#sandbox = sandbox;
    // One that was taken over began in another life, whose clock was another one; of our own the wall clock may have been set.
    const startedAtMs = clock.nowMs() - Math.max(0, clock.wallMs() - sandbox.startedAtMs);
    this.startedAtMs = Math.max(startedAtMs, this.resolvedAtMs ?? startedAtMs);
    if (this.beganAtMs === undefined) this.acceptedAtMs = this.startedAtMs;
    this.advance("running");
  }

  /** Its command has ended, or never ran: what is left is to be rid of it. Told once. */
  over(over: JobOver): void {
    if (this.#over !== undefined) return;
    this.#over = over;
    this.endedAtMs ??= this.#host.engine.clock.nowMs();
    this.#host.over(this);
  }

  /** Nothing of it is left: its reservation comes back. */
  release(): void {
    // Before anybody is told, who may want the room.
    if (this.#state !== "gone") this.#host.engine.books.release(this.sandboxId);
    this.advance("gone");
  }
}
