import type { Progress } from "../../../contract/v1/calls.ts";
import type { AnswerHead, Exchange, RunEnding, RunId } from "../../../core/index.ts";
import { ExecutorError } from "../../../core/index.ts";
import type { CallProgress, CallSink, Placement } from "../../../engine/executor.ts";
import type { ByteBudget } from "../body/byte-budget.ts";

export interface ActiveRunOptions {
  readonly runId: RunId;
  readonly image: string;
  readonly createdAtMs: number;
  readonly nowMs: () => number;
  /** The longest answer that is kept. */
  readonly recordBytes: number;
  readonly held: ByteBudget;
  /** Hears the call too, for a caller that waits for it. */
  readonly tap?: CallSink | undefined;
  /** Called once, with how it ended. */
  onEnded(ending: RunEnding): void;
}

/** A recorded call while it runs: it gathers its answer, shows how far it has come, and outlives its caller. */
export class ActiveRun implements CallSink {
  readonly #options: ActiveRunOptions;
  readonly #watchers = new Set<() => void>();
  #tap: CallSink | undefined;
  #exchange: Exchange | undefined;
  #progress: Progress = { type: "waiting", reason: "it has just come" };
  #placement: Placement | undefined;
  #head: AnswerHead | undefined;
  #chunks: Buffer[] | undefined = [];
  #bytes = 0;
  #heldBytes = 0;
  #isEnded = false;

  constructor(options: ActiveRunOptions) {
    this.#options = options;
    this.#tap = options.tap;
  }

  get runId(): RunId {
    return this.#options.runId;
  }

  get image(): string {
    return this.#options.image;
  }

  get createdAtMs(): number {
    return this.#options.createdAtMs;
  }

  get progress(): Progress {
    return this.#progress;
  }

  get placement(): Placement | undefined {
    return this.#placement;
  }

  attach(exchange: Exchange): void {
    this.#exchange = exchange;
  }

  /** What the waiting caller holds: when it leaves, the run goes on without it. */
  readonly caller: Exchange = {
    pause: () => this.#exchange?.pause(),
    resume: () => this.#exchange?.resume(),
    cancel: () => {
      this.#tap = undefined;
      this.#exchange?.resume();
    },
  };

  cancel(): void {
    if (this.#isEnded) return;
    this.#exchange?.cancel();
    this.onError(new ExecutorError("CALL_CANCELLED", { reason: "it was cancelled over the API" }));
  }

  /** Calls back after each change, and after its end. @returns stops that. */
  watch(onChange: () => void): () => void {
    this.#watchers.add(onChange);
    return () => this.#watchers.delete(onChange);
  }

  /** Its end is recorded. */
  settled(): void {
    this.#options.held.give(this.#heldBytes);
    this.#heldBytes = 0;
    this.#changed();
  }

  onProgress(progress: CallProgress): void {
    this.#progress = progress.type === "pulling" ? { type: "pulling", ...progress.progress } : progress;
    this.#changed();
  }

  onPlaced(placement: Placement): void {
    this.#placement = placement;
    this.#progress = { type: "running" };
    this.#tap?.onPlaced(placement);
    this.#changed();
  }

  onHead(head: AnswerHead): void {
    this.#head = head;
    this.#tap?.onHead(head);
  }

  onData(chunk: Uint8Array): void {
    this.#bytes += chunk.length;
    this.#keep(chunk);
    this.#tap?.onData(chunk);
  }

  onEnd(): void {
    const head = this.#head;
    if (head === undefined) return;
    const isKept = this.#chunks !== undefined;
    const { status, contentType } = head;
    this.#end({
      end: { type: "answered", status, contentType, bytes: this.#bytes, isKept },
      answer: this.#chunks === undefined ? undefined : Buffer.concat(this.#chunks),
      freesKey: false,
    });
    this.#tap?.onEnd();
  }

  onError(thrown: Error): void {
    const { code, facts, spec } = ExecutorError.from(thrown);
    this.#end({
      end: { type: "failed", code, facts },
      answer: undefined,
      // Nothing has run, and the refusal may pass: the caller's next try is a first one.
      freesKey: this.#placement === undefined && spec.retry === "later",
    });
    this.#tap?.onError(thrown);
  }

  #end(ending: Omit<RunEnding, "endedAtMs" | "placement">): void {
    if (this.#isEnded) return;
    this.#isEnded = true;
    this.#chunks = undefined;
    this.#options.onEnded({ ...ending, endedAtMs: this.#options.nowMs(), placement: this.#placement });
  }

  #keep(chunk: Uint8Array): void {
    if (this.#chunks === undefined) return;
    if (this.#bytes <= this.#options.recordBytes && this.#options.held.take(chunk.length)) {
      this.#heldBytes += chunk.length;
      this.#chunks.push(Buffer.from(chunk));
      return;
    }
    this.#chunks = undefined;
    this.#options.held.give(this.#heldBytes);
    this.#heldBytes = 0;
  }

  #changed(): void {
    for (const watcher of [...this.#watchers]) watcher();
  }
}
