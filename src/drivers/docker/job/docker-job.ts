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
} from "../../../core/index.ts";
import { systemClock } from "../../../std/index.ts";
import type { Watch } from "../container/deaths.ts";
import { readLogTail } from "../container/log-tail.ts";
import { removeContainer } from "../container/remove.ts";
import type { Engine } from "../engine/engine.ts";
import { EngineError, isMissing, mayStillCome, toExecutorError } from "../engine/engine-error.ts";
import { followJobLog } from "./follow-job-log.ts";
import type { UsageSamples } from "./usage-samples.ts";

/** An engine says "not running" about what it has seen end. */
const NOT_RUNNING = 409;

/** What a job is made of once its container has started. */
export interface JobParts {
  readonly id: SandboxId;
  readonly mark: JobMark;
  readonly task: TaskSpec;
  readonly imageDigest: string;
  readonly containerId: string;
  readonly label: string;
  readonly isolation: IsolationClass;
  readonly gpuIds: readonly string[];
  readonly startedAtMs: number;
  readonly watch: Watch;
  readonly samples: UsageSamples;
  /** Makes what it wrote usable for this process; called once, after its end. Never rejects. */
  readonly takeFiles: () => Promise<void>;
  /** Called once, when the container is gone: its network may serve another, unless that went the same way. */
  readonly onRemoved: (isNetworkWhole: boolean) => void;
}

/** One container that runs a command to its end. See `JobSandbox` for what each method promises. */
export class DockerJob implements JobSandbox {
  readonly id: SandboxId;
  readonly mark: JobMark;
  readonly task: TaskSpec;
  readonly imageDigest: string;
  readonly label: string;
  readonly isolation: IsolationClass;
  readonly gpuIds: readonly string[];
  readonly startedAtMs: number;
  readonly ended: Promise<SandboxEnd>;
  readonly #engine: Engine;
  readonly #parts: JobParts;
  /** Its code no longer runs; `ended` tells it when its files are ours as well. */
  readonly #stopped: Promise<void>;
  #tellStopped: () => void = () => undefined;
  #tellEnd: (end: SandboxEnd) => void = () => undefined;
  #hasStopped = false;
  /** A signal of ours has reached it: however it ends after that, it was ended by us. */
  #wasAsked = false;
  /** An answer to a signal of ours got lost: the way it ends shows whether it arrived. */
  #mayHaveBeenAsked = false;
  /** Settles once each signal so far has its answer; never rejects. */
  #answered: Promise<unknown> = Promise.resolve();
  /** Its removal began while it ran. */
  #isCut = false;
  #isRemoved = false;
  #wasLost = false;
  #killing: Promise<boolean> | undefined;
  #removal: Promise<void> | undefined;

  constructor(engine: Engine, parts: JobParts) {
    this.#engine = engine;
    this.#parts = parts;
    this.id = parts.id;
    this.mark = parts.mark;
    this.task = parts.task;
    this.imageDigest = parts.imageDigest;
    this.label = parts.label;
    this.isolation = parts.isolation;
    this.gpuIds = parts.gpuIds;
    this.startedAtMs = parts.startedAtMs;
    this.ended = new Promise((resolve) => {
      this.#tellEnd = resolve;
    });
    this.#stopped = new Promise((resolve) => {
      this.#tellStopped = resolve;
    });
    parts.watch.ended.then(
      (end) => this.#settle(end),
      () => this.#settle({ type: "lost" }), // never: a watch does not reject
    );
  }

  async end(graceMs: number): Promise<void> {
    if (!this.#hasStopped) await this.#endWithin(graceMs);
    await this.ended;
  }

  async remove(): Promise<void> {
    if (this.#isRemoved) return;
    this.#removal ??= this.#remove().finally(() => {
      this.#removal = undefined;
    });
    await this.#removal;
  }

  async usage(signal: AbortSignal): Promise<SandboxUsage> {
    signal.throwIfAborted();
    if (!this.#hasStopped) await this.#ask(() => this.#parts.samples.take(signal), signal);
    return this.#parts.samples.last;
  }

  async tailLog(maxBytes: number, signal: AbortSignal): Promise<LogTail> {
    const { containerId } = this.#parts;
    return await this.#ask(() => readLogTail(this.#engine, containerId, maxBytes, { signal }), signal);
  }

  followLog(tailBytes: number, signal: AbortSignal): AsyncIterable<LogChunk> {
    const { containerId } = this.#parts;
    return followJobLog(this.#engine, containerId, tailBytes, signal, () => this.#hasStopped);
  }

  #settle(end: SandboxEnd): void {
    if (this.#hasStopped) return;
    this.#hasStopped = true;
    this.#parts.samples.stop();
    this.#tellStopped();
    const tell = (): void => this.#tell(end);
    // Whether a signal that is still under way came in time only its answer tells.
    Promise.all([this.#parts.takeFiles(), this.#answered]).then(tell, tell); // never: neither rejects
  }

  #tell(end: SandboxEnd): void {
    const looksAsked = end.type === "signalled" || end.type === "memory";
    const isOurs = this.#isCut || this.#wasAsked || (this.#mayHaveBeenAsked && looksAsked);
    this.#wasLost = end.type === "lost" && !isOurs;
    this.#tellEnd(isOurs ? { type: "stopped" } : end);
  }

  /** Asks, waits, kills. A later call with a shorter grace shortens it. */
  async #endWithin(graceMs: number): Promise<void> {
    // The end is near, and with it goes all that could still be counted.
    await this.#parts.samples.take(AbortSignal.timeout(1000)).catch(() => undefined);
    if (graceMs > 0 && !this.#hasStopped && (await this.#signal("SIGTERM"))) {
      let cancel = (): void => undefined;
      const grace = new Promise<void>((resolve) => {
        cancel = systemClock.after(graceMs, resolve);
      });
      await Promise.race([this.#stopped, grace]).finally(cancel);
    }
    if (this.#hasStopped) return;
    this.#killing ??= this.#signal("SIGKILL").finally(() => {
      this.#killing = undefined;
    });
    await this.#killing;
  }

  /** @returns whether it ran. One that has ended needs no signal, and its end is told by the events. */
  #signal(name: "SIGTERM" | "SIGKILL"): Promise<boolean> {
    const answer = this.#send(name);
    this.#answered = Promise.allSettled([this.#answered, answer]);
    return answer;
  }

  async #send(name: "SIGTERM" | "SIGKILL"): Promise<boolean> {
    try {
      await this.#engine.containers.kill(this.#parts.containerId, name);
      this.#wasAsked = true;
      return true;
    } catch (thrown) {
      this.#mayHaveBeenAsked ||= mayStillCome(thrown);
      if (isMissing(thrown)) {
        this.#settle({ type: "lost" });
        return false;
      }
      if (thrown instanceof EngineError && thrown.status === NOT_RUNNING) return false;
      throw toExecutorError(thrown);
    }
  }

  async #remove(): Promise<void> {
    if (!this.#hasStopped) this.#isCut = true;
    try {
      await removeContainer(this.#engine, this.#parts.containerId);
    } catch (thrown) {
      throw toExecutorError(thrown);
    }
    this.#isRemoved = true;
    this.#parts.watch.forget();
    this.#settle({ type: "stopped" });
    await this.ended;
    this.#parts.onRemoved(!this.#wasLost);
  }

  async #ask<T>(question: () => Promise<T>, signal: AbortSignal): Promise<T> {
    try {
      return await question();
    } catch (thrown) {
      signal.throwIfAborted();
      throw toExecutorError(thrown);
    }
  }
}
