import type {
  Endpoint,
  IsolationClass,
  LogChunk,
  LogTail,
  Sandbox,
  SandboxEnd,
  SandboxId,
  SandboxUsage,
  StartPhases,
  TaskKey,
  TaskSpec,
} from "../../../core/index.ts";
import { orAbort, systemClock } from "../../../std/index.ts";
import type { Engine } from "../engine/engine.ts";
import { EngineError, isMissing, toExecutorError } from "../engine/engine-error.ts";
import type { Watch } from "./deaths.ts";
import { followLog } from "./follow-log.ts";
import { readLogTail } from "./log-tail.ts";
import { removeContainer } from "./remove.ts";
import { readUsage } from "./usage.ts";

/** What a sandbox is made of once its server accepts. */
export interface SandboxParts {
  readonly id: SandboxId;
  readonly taskKey: TaskKey;
  readonly task: TaskSpec;
  readonly imageDigest: string;
  readonly containerId: string;
  readonly label: string;
  readonly isolation: IsolationClass;
  readonly endpoint: Endpoint;
  readonly phases: StartPhases;
  readonly warnings: readonly string[];
  readonly watch: Watch;
  readonly isFrozen: boolean;
  /** Called once, when the container is gone: its network may serve another, unless that went the same way. */
  readonly onRemoved: (isNetworkWhole: boolean) => void;
}

/** One running container whose server accepts. See `Sandbox` for what each method promises. */
export class DockerSandbox implements Sandbox {
  readonly id: SandboxId;
  readonly taskKey: TaskKey;
  readonly task: TaskSpec;
  readonly imageDigest: string;
  readonly label: string;
  readonly isolation: IsolationClass;
  readonly endpoint: Endpoint;
  readonly phases: StartPhases;
  readonly warnings: readonly string[];
  readonly ended: Promise<SandboxEnd>;
  readonly #engine: Engine;
  readonly #containerId: string;
  readonly #watch: Watch;
  readonly #onRemoved: (isNetworkWhole: boolean) => void;
  #end: (end: SandboxEnd) => void = () => undefined;
  #isFrozen: boolean;
  /** Set by the first `stop`; the first cause of an end is the one that is told. */
  #isStopping = false;
  #isRemoved = false;
  #wasLost = false;
  #stopping: Promise<void> | undefined;
  #killNow: () => void = () => undefined;

  constructor(engine: Engine, parts: SandboxParts) {
    this.#engine = engine;
    this.#containerId = parts.containerId;
    this.#watch = parts.watch;
    this.#onRemoved = parts.onRemoved;
    this.#isFrozen = parts.isFrozen;
    this.id = parts.id;
    this.taskKey = parts.taskKey;
    this.task = parts.task;
    this.imageDigest = parts.imageDigest;
    this.label = parts.label;
    this.isolation = parts.isolation;
    this.endpoint = parts.endpoint;
    this.phases = parts.phases;
    this.warnings = parts.warnings;
    this.ended = new Promise((resolve) => {
      this.#end = resolve;
    });
    parts.watch.ended.then(
      (end) => {
        this.#wasLost = end.type === "lost" && !this.#isStopping;
        this.#end(this.#isStopping ? { type: "stopped" } : end);
      },
      () => this.#end({ type: "lost" }), // never: a watch does not reject
    );
  }

  async freeze(signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    // From here on it may be frozen, whatever the answer: a later stop thaws it first.
    this.#isFrozen = true;
    await orAbort(this.#change("pause", true), signal);
  }

  async thaw(signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    await orAbort(this.#change("unpause", false), signal);
    this.#isFrozen = false;
  }

  stop(graceMs: number): Promise<void> {
    if (this.#isRemoved) return Promise.resolve();
    const cancelTimer = systemClock.after(graceMs, () => this.#killNow());
    this.#stopping ??= this.#stop(graceMs).finally(() => {
      this.#stopping = undefined;
    });
    return this.#stopping.finally(cancelTimer);
  }

  async usage(signal: AbortSignal): Promise<SandboxUsage> {
    return await this.#ask(() => readUsage(this.#engine, this.#containerId, signal), signal);
  }

  async tailLog(maxBytes: number, signal: AbortSignal): Promise<LogTail> {
    return await this.#ask(() => readLogTail(this.#engine, this.#containerId, maxBytes, { signal }), signal);
  }

  followLog(tailBytes: number, signal: AbortSignal): AsyncIterable<LogChunk> {
    return followLog(this.#engine, this.#containerId, tailBytes, signal);
  }

  async #stop(graceMs: number): Promise<void> {
    this.#isStopping = true;
    const grace = new Promise<void>((resolve) => {
      this.#killNow = resolve;
    });
    if (graceMs > 0) {
      await this.#askToEnd();
      await Promise.race([this.ended, grace]);
    }
    try {
      await removeContainer(this.#engine, this.#containerId);
    } catch (thrown) {
      throw toExecutorError(thrown);
    }
    this.#isRemoved = true;
    this.#watch.forget();
    this.#end({ type: "stopped" });
    this.#onRemoved(!this.#wasLost);
  }

  /** A frozen process takes no signal but KILL. What fails here is decided by the removal that follows. */
  async #askToEnd(): Promise<void> {
    try {
      if (this.#isFrozen) await this.#change("unpause", false);
      await this.#engine.containers.kill(this.#containerId, "SIGTERM");
    } catch {
      // Not running any more, or the engine does not answer: then neither will asking again help.
      this.#killNow();
    }
  }

  /** Pausing what is paused is refused by the engine and fine by us: the state is what was asked for. */
  async #change(verb: "pause" | "unpause", isPaused: boolean): Promise<void> {
    const { containers } = this.#engine;
    try {
      await (verb === "pause" ? containers.pause(this.#containerId) : containers.unpause(this.#containerId));
    } catch (thrown) {
      if (!(thrown instanceof EngineError) || isMissing(thrown)) throw toExecutorError(thrown);
      const facts = await containers.inspect(this.#containerId);
      if (!facts.isRunning || facts.isPaused !== isPaused) throw toExecutorError(thrown);
    }
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
