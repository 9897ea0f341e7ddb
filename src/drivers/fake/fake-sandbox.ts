import type {
  Endpoint,
  IsolationClass,
  LogChunk,
  LogTail,
  Sandbox,
  SandboxEnd,
  SandboxId,
  SandboxSpec,
  SandboxUsage,
  StartPhases,
  TaskKey,
  TaskSpec,
} from "../../core/index.ts";
import type { FakeDriver } from "./fake-driver.ts";

export class FakeSandbox implements Sandbox {
  readonly id: SandboxId;
  readonly taskKey: TaskKey;
  readonly task: TaskSpec;
  readonly imageDigest: string;
  readonly label: string;
  isolation: IsolationClass = "container";
  readonly endpoint: Endpoint;
  readonly phases: StartPhases = { createMs: 10, startMs: 50, readyMs: 5 };
  readonly warnings: readonly string[] = [];
  readonly ended: Promise<SandboxEnd>;
  printed = "";
  isFrozen = false;
  /** Of each request to end it. */
  readonly graces: number[] = [];
  readonly #driver: FakeDriver;
  #end: (end: SandboxEnd) => void = () => undefined;

  constructor(driver: FakeDriver, spec: SandboxSpec) {
    this.#driver = driver;
    this.id = spec.sandboxId;
    this.taskKey = spec.taskKey;
    this.task = spec.task;
    this.imageDigest = spec.image.digest;
    this.label = `fake_${spec.sandboxId}`;
    // A fake channel finds its sandbox by this name.
    this.endpoint = { host: spec.sandboxId, port: 8080 };
    this.ended = new Promise((resolve) => {
      this.#end = resolve;
    });
  }

  /** What its code (or a stranger) does to it. */
  die(end: SandboxEnd): void {
    this.#end(end);
  }

  async freeze(signal: AbortSignal): Promise<void> {
    await this.#driver.perform("freeze", this.#driver.freezeMs, signal);
    this.isFrozen = true;
  }

  async thaw(signal: AbortSignal): Promise<void> {
    await this.#driver.perform("freeze", this.#driver.freezeMs, signal);
    this.isFrozen = false;
  }

  async stop(graceMs: number): Promise<void> {
    this.graces.push(graceMs);
    const isOver = this.#driver.perform("stop", this.#driver.usesGrace ? graceMs : this.#driver.stopMs);
    // A later call with a shorter grace ends it for all.
    await (this.#driver.usesGrace ? Promise.race([isOver, this.ended]) : isOver);
    this.#driver.live.delete(this);
    this.#end({ type: "stopped" });
  }

  async usage(_signal: AbortSignal): Promise<SandboxUsage> {
    return { cpuMs: 0, memoryBytes: 0, memoryPeakBytes: undefined };
  }

  async tailLog(_maxBytes: number, _signal: AbortSignal): Promise<LogTail> {
    return { text: this.printed, isTruncated: false };
  }

  async *followLog(_tailBytes: number, _signal: AbortSignal): AsyncIterable<LogChunk> {
    if (this.printed !== "") yield { stream: "stdout", text: this.printed };
  }
}
