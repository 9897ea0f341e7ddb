import type {
  DoorName,
  ExecutorError,
  JobMark,
  JobSandbox,
  JobState,
  SandboxId,
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
  /** When it first asked for room; the clock's milliseconds. */
  readonly acceptedAtMs: number;
}

/**
 * One job that holds room here, from its booking until nothing of it is left: the one place that advances its state and gives
 * its reservation back, exactly once.
 */
export class HeldJob {
  readonly sandboxId: SandboxId;
  readonly mark: JobMark;
  readonly door: DoorName;
  readonly task: TaskSpec;
  readonly taskKey: TaskKey;
  readonly acceptedAtMs: number;
  readonly heldSinceMs: number;
  /** Its cards, by UUID. */
  readonly gpuIds: readonly string[];
  readonly #host: JobHost;
  #state: JobState;
  #sandbox: JobSandbox | undefined;
  /** Ends its command; set once that runs. */
  stop: (by: JobStop, graceMs: number) => void = () => undefined;
  /** Gives it up before its command runs; set for as long as that can be. */
  giveUp: (why: ExecutorError) => void = () => undefined;

  constructor(host: JobHost, options: HeldJobOptions, state: "reserved" | "leftover") {
    this.#host = host;
    this.sandboxId = options.sandboxId;
    this.mark = options.mark;
    this.door = options.door;
    this.task = options.task;
    this.taskKey = taskKey(options.task);
    this.acceptedAtMs = options.acceptedAtMs;
    this.heldSinceMs = host.engine.clock.nowMs();
    this.gpuIds = host.engine.books.heldBy(options.sandboxId)?.gpuIds ?? [];
    this.#state = state;
  }

  get state(): JobState {
    return this.#state;
  }

  /** `undefined` before its command has started. */
  get sandbox(): JobSandbox | undefined {
    return this.#sandbox;
  }

  advance(to: JobState): void {
    this.#state = advanceJob(this.#state, to);
    this.#host.changed(this);
  }

  started(sandbox: JobSandbox): void {
    this.#sandbox = sandbox;
    this.advance("running");
  }

  /** Nothing of it is left: its reservation comes back. */
  release(): void {
    this.#state = advanceJob(this.#state, "gone");
    this.#host.engine.books.release(this.sandboxId);
    this.#host.changed(this);
  }
}
