import type { JobSandbox, LogChunk, LogTail, SandboxId, SandboxUsage } from "../../core/index.ts";
import { ExecutorError } from "../../core/index.ts";
import type { TaskLines } from "../calls/task-lines.ts";
import type { JobEngine } from "../jobs/job-engine.ts";
import type { LastWords } from "./last-words.ts";
import type { SandboxOwner } from "./sandbox-owner.ts";
import type { Watchers } from "./watchers.ts";

export interface NamedSandboxesOptions {
  readonly lines: TaskLines;
  readonly lastWords: LastWords;
  readonly watchers: Watchers;
  readonly jobs: JobEngine;
}

/** Looks at single sandboxes, of calls and of jobs, and removes them. A job's is known by the job's own id as well. */
export class NamedSandboxes {
  readonly #options: NamedSandboxesOptions;

  constructor(options: NamedSandboxesOptions) {
    this.#options = options;
  }

  async usage(id: SandboxId, signal: AbortSignal): Promise<SandboxUsage> {
    const job = this.#options.jobs.find(id)?.sandbox;
    return await (job ?? this.#find(id).sandbox).usage(signal);
  }

  async tailLog(id: SandboxId, maxBytes: number, signal: AbortSignal): Promise<LogTail> {
    const job = this.#livingJob(id);
    const kept = job === undefined ? this.#options.lastWords.of(id, maxBytes) : undefined;
    return kept ?? (await (job ?? this.#find(id).sandbox).tailLog(maxBytes, signal));
  }

  async *followLog(id: SandboxId, tailBytes: number, signal: AbortSignal): AsyncIterable<LogChunk> {
    const job = this.#livingJob(id);
    const kept = job === undefined ? this.#options.lastWords.of(id, tailBytes) : undefined;
    if (kept === undefined) yield* (job ?? this.#find(id).sandbox).followLog(tailBytes, signal);
    else if (kept.text !== "") yield { stream: "stdout", text: kept.text };
  }

  async evict(id: SandboxId, isForced: boolean): Promise<void> {
    if (this.#options.jobs.find(id) === undefined) await this.#evictOwner(this.#find(id), isForced);
    else await this.#endJob(id, isForced);
  }

  async #evictOwner(owner: SandboxOwner, isForced: boolean): Promise<void> {
    if ((owner.slotsUsed > 0 || owner.pins > 0) && !isForced) {
      throw new ExecutorError("SANDBOX_BUSY", {
        sandboxId: owner.id,
        calls: owner.slotsUsed,
        ...(owner.pins > 0 ? { sessions: owner.pins } : {}),
      });
    }
    owner.stop("asked", isForced ? "kill" : "ask");
    await this.#options.watchers.until(() => owner.state.type === "gone");
  }

  /** Resolves when its command has ended: its door then collects what there is of its files, and lets it go. */
  async #endJob(id: SandboxId, isForced: boolean): Promise<void> {
    const job = this.#options.jobs.find(id);
    if (job === undefined) return;
    if (!isForced) throw new ExecutorError("SANDBOX_BUSY", { sandboxId: job.sandboxId, jobs: 1 });
    job.giveUp(new ExecutorError("CALL_CANCELLED", { reason: "it was ended by hand" }));
    job.stop("killed", 0);
    await this.#options.watchers.until(() => job.endedAtMs !== undefined);
  }

  /** A job's sandbox that can still be asked what it printed. */
  #livingJob(id: string): JobSandbox | undefined {
    const job = this.#options.jobs.find(id);
    return job?.state === "removing" ? undefined : job?.sandbox;
  }

  #find(sandboxId: SandboxId): SandboxOwner {
    const owner = this.#options.lines.find(sandboxId);
    if (owner?.maybeSandbox === undefined) throw new ExecutorError("SANDBOX_NOT_FOUND", { sandboxId });
    return owner;
  }
}
