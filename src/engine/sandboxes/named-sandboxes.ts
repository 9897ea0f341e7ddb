import type { JobSandbox, LogChunk, Sandbox, SandboxId, SandboxUsage } from "../../core/index.ts";
import { ExecutorError } from "../../core/index.ts";
import type { TaskLines } from "../calls/task-lines.ts";
import type { SandboxLog } from "../executor.ts";
import type { JobEngine } from "../jobs/job-engine.ts";
import type { Named } from "./is-called.ts";
import { isCalled } from "./is-called.ts";
import type { LastWords } from "./last-words.ts";
import type { SandboxOwner } from "./sandbox-owner.ts";
import type { Watchers } from "./watchers.ts";

/** Why what is no warm task is not just removed, as sentences. */
const WORKER_STAYS = "it is a worker, which its server starts and ends; by hand it is ended by force only";
const JOB_STAYS = "it runs a job, which is ended by force only";

export interface NamedSandboxesOptions {
  readonly lines: TaskLines;
  readonly lastWords: LastWords;
  readonly watchers: Watchers;
  readonly jobs: JobEngine;
}

/** One that can still be asked what it printed. */
interface Living extends Named {
  readonly sinceMs: number;
  readonly sandbox: Pick<Sandbox | JobSandbox, "tailLog" | "followLog">;
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

  async tailLog(which: string, maxBytes: number, signal: AbortSignal): Promise<SandboxLog> {
    const found = this.#whoseLog(which, maxBytes);
    if ("text" in found) return found;
    const tail = await found.sandbox.tailLog(maxBytes, signal);
    return { ...tail, sandboxId: found.sandboxId, hasEnded: false };
  }

  async *followLog(which: string, tailBytes: number, signal: AbortSignal): AsyncIterable<LogChunk> {
    const found = this.#whoseLog(which, tailBytes);
    if (!("text" in found)) yield* found.sandbox.followLog(tailBytes, signal);
    else if (found.text !== "") yield { stream: "stdout", text: found.text };
  }

  async evict(id: SandboxId, isForced: boolean): Promise<void> {
    if (this.#options.jobs.find(id) === undefined) await this.#evictOwner(this.#find(id), isForced);
    else await this.#endJob(id, isForced);
  }

  async #evictOwner(owner: SandboxOwner, isForced: boolean): Promise<void> {
    if ((owner.slotsUsed > 0 || owner.pins > 0) && !isForced) {
      throw new ExecutorError("SANDBOX_BUSY", {
        sandboxId: owner.id,
        reason: owner.slotsUsed > 0 ? "calls run in it" : "sessions keep it",
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
    if (!isForced) {
      const reason = job.door === "indexify" ? WORKER_STAYS : JOB_STAYS;
      throw new ExecutorError("SANDBOX_BUSY", { sandboxId: job.sandboxId, reason, jobs: 1 });
    }
    job.giveUp(new ExecutorError("CALL_CANCELLED", { reason: "it was ended by hand" }));
    job.stop("killed", 0);
    await this.#options.watchers.until(() => job.endedAtMs !== undefined);
  }

  /** A whole id means one and no other; a name means a living one before one that has ended, and of those the newest. */
  #whoseLog(which: string, maxBytes: number): Living | SandboxLog {
    const { lastWords } = this.#options;
    // One on its way out has said what it had to say.
    const living = this.#living().filter(({ sandboxId }) => !lastWords.has(sandboxId));
    const found =
      living.findLast(({ sandboxId, jobId }) => sandboxId === which || jobId === which) ??
      lastWords.of(which, maxBytes) ??
      living.findLast((one) => isCalled(one, which)) ??
      lastWords.called(which, maxBytes);
    if (found === undefined) throw new ExecutorError("SANDBOX_NOT_FOUND", { sandboxId: which });
    return found;
  }

  /** Those of calls and of jobs, the newest last. */
  #living(): readonly Living[] {
    const ofCalls = this.#options.lines.owners().flatMap((owner): readonly Living[] => {
      const { id: sandboxId, maybeSandbox: sandbox, createdAtMs: sinceMs } = owner;
      const { image } = owner.task;
      return sandbox === undefined ? [] : [{ sandboxId, label: sandbox.label, image, sinceMs, sandbox }];
    });
    const ofJobs = this.#options.jobs.held().flatMap((job): readonly Living[] => {
      const { sandboxId, sandbox, heldSinceMs: sinceMs } = job;
      if (sandbox === undefined || job.state === "removing") return [];
      const { image } = job.task;
      return [{ sandboxId, jobId: job.mark.jobId, label: sandbox.label, image, sinceMs, sandbox }];
    });
    return [...ofCalls, ...ofJobs].sort((left, right) => left.sinceMs - right.sinceMs);
  }

  #find(sandboxId: SandboxId): SandboxOwner {
    const owner = this.#options.lines.find(sandboxId);
    if (owner?.maybeSandbox === undefined) throw new ExecutorError("SANDBOX_NOT_FOUND", { sandboxId });
    return owner;
  }
}
