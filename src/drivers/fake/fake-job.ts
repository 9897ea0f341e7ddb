import type {
  IsolationClass,
  JobLeftover,
  JobMark,
  JobSandbox,
  JobSandboxSpec,
  LogChunk,
  LogTail,
  SandboxEnd,
  SandboxId,
  SandboxUsage,
  TaskSpec,
} from "../../core/index.ts";
import type { FakeDriver } from "./fake-driver.ts";

/** A job that runs until it is told how it ended. */
export class FakeJob implements JobSandbox {
  readonly id: SandboxId;
  readonly mark: JobMark;
  readonly task: TaskSpec;
  readonly imageDigest: string;
  readonly label: string;
  readonly isolation: IsolationClass = "container";
  readonly gpuIds: readonly string[];
  readonly startedAtMs: number;
  readonly spec: JobSandboxSpec;
  readonly ended: Promise<SandboxEnd>;
  /** Whether a next life may take it over. */
  readonly isTakenOver: boolean = true;
  /** What `usage` tells; a test may change it at any time. */
  figures: SandboxUsage = { cpuMs: 0, memoryBytes: 0, memoryPeakBytes: undefined };
  /** How long each request to end left it. */
  readonly graces: number[] = [];
  #driver: FakeDriver;
  readonly #said: LogChunk[] = [];
  #end: (end: SandboxEnd) => void = () => undefined;
  /** How its command ended, told or not yet. */
  #death: SandboxEnd | undefined;
  #hasEnded = false;
  /** How many are at ending it. */
  #enders = 0;
  /** Wakes whoever follows the log. */
  #wake: () => void = () => undefined;
  #news = this.#nextNews();

  constructor(driver: FakeDriver, spec: JobSandboxSpec, startedAtMs: number) {
    this.#driver = driver;
    this.spec = spec;
    this.id = spec.sandboxId;
    this.mark = spec.mark;
    this.task = spec.task;
    this.imageDigest = spec.image.digest;
    this.label = `fake_${spec.sandboxId}`;
    this.gpuIds = spec.gpuIds;
    this.startedAtMs = startedAtMs;
    this.ended = new Promise((resolve) => {
      this.#end = resolve;
    });
  }

  get hasEnded(): boolean {
    return this.#hasEnded;
  }

  /** What its command (or a stranger) does to it; the first end counts, and after a request of ours it is ours. */
  die(end: SandboxEnd): void {
    this.dieUntold(end)();
  }

  /** The same, but nobody hears of it until the returned function is called, as while its files are taken back. */
  dieUntold(end: SandboxEnd): () => void {
    const death = (this.#death ??= this.#enders > 0 ? { type: "stopped" } : end);
    return () => {
      this.#hasEnded = true;
      this.#end(death);
      this.#tell();
    };
  }

  /** From now on the operations of this driver's next life are done to it. */
  moveTo(driver: FakeDriver): void {
    this.#driver = driver;
  }

  /** What its command prints. */
  say(text: string, stream: LogChunk["stream"] = "stdout"): void {
    this.#said.push({ stream, text });
    this.#tell();
  }

  async end(graceMs: number): Promise<void> {
    this.graces.push(graceMs);
    if (this.#death === undefined) await this.#cut("end");
    await this.ended;
  }

  async remove(): Promise<void> {
    if (!this.#driver.liveJobs.has(this)) return;
    await this.#cut("removeJob");
    this.#driver.liveJobs.delete(this);
  }

  async #cut(how: "end" | "removeJob"): Promise<void> {
    this.#enders += 1;
    try {
      await this.#driver.perform(how, this.#driver.stopMs);
      this.die({ type: "stopped" });
    } finally {
      this.#enders -= 1;
    }
  }

  async usage(signal: AbortSignal): Promise<SandboxUsage> {
    signal.throwIfAborted();
    return this.figures;
  }

  async tailLog(maxBytes: number, signal: AbortSignal): Promise<LogTail> {
    signal.throwIfAborted();
    const whole = this.#said.map(({ text }) => text).join("");
    return { text: whole.slice(Math.max(0, whole.length - maxBytes)), isTruncated: whole.length > maxBytes };
  }

  async *followLog(tailBytes: number, signal: AbortSignal): AsyncIterable<LogChunk> {
    const { text } = await this.tailLog(tailBytes, signal);
    let next = this.#said.length;
    if (text !== "") yield { stream: "stdout", text };
    const onAbort = (): void => this.#tell();
    signal.addEventListener("abort", onAbort, { once: true });
    try {
      for (;;) {
        signal.throwIfAborted();
        const chunk = this.#said[next];
        if (chunk !== undefined) {
          next += 1;
          yield chunk;
        } else if (this.#hasEnded) return;
        else await this.#news;
      }
    } finally {
      signal.removeEventListener("abort", onAbort);
    }
  }

  #tell(): void {
    this.#wake();
    this.#news = this.#nextNews();
  }

  #nextNews(): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = resolve;
    });
  }
}

/** The same job as the driver's next life finds it. */
export function fakeJobLeftover(driver: FakeDriver, job: FakeJob): JobLeftover {
  return {
    sandboxId: job.id,
    mark: job.isTakenOver ? job.mark : undefined,
    task: job.task,
    imageDigest: job.imageDigest,
    gpuIds: job.gpuIds,
    async adopt(signal) {
      await driver.perform("startJob", 0, signal);
      return job;
    },
    async reap(signal) {
      signal.throwIfAborted();
      await job.remove();
    },
  };
}
