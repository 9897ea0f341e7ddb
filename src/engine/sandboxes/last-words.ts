import type { Clock, LogTail, Sandbox, SandboxId } from "../../core/index.ts";
import { orAbort, withDeadline } from "../../std/index.ts";

/** What is kept of one sandbox, and of how many; the oldest is forgotten first. */
const KEPT_BYTES = 64 * 1024;
const KEPT_SANDBOXES = 64;
/** What is dead can wait a little for its removal; its share comes back only after that. */
const READ_DEADLINE_MS = 1000;

/** What the code of sandboxes that are gone printed last: whoever asks why a task died comes too late for the sandbox itself. */
export class LastWords {
  readonly #clock: Clock;
  readonly #tails = new Map<SandboxId, LogTail>();
  /** The last sandbox that a job had, by the job's id. */
  readonly #ofJobs = new Map<string, SandboxId>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /**
   * Reads them while the sandbox is still there. Never throws: they are worth nothing compared with its removal.
   *
   * @param jobId of a job, which they can then be asked for by as well.
   */
  async keep(sandbox: Pick<Sandbox, "tailLog">, sandboxId: SandboxId, jobId?: string): Promise<void> {
    try {
      const tail = await withDeadline(
        { ms: READ_DEADLINE_MS, code: "ENGINE_UNAVAILABLE", clock: this.#clock },
        // A removal must not hang on a driver that minds no signal.
        (signal) => orAbort(sandbox.tailLog(KEPT_BYTES, signal), signal),
      );
      this.#tails.set(sandboxId, tail);
      if (jobId !== undefined) this.#ofJobs.set(jobId, sandboxId);
      const [oldest] = this.#tails.keys();
      if (this.#tails.size > KEPT_SANDBOXES && oldest !== undefined) this.#forget(oldest);
    } catch {
      // Nothing is kept of it then.
    }
  }

  #forget(sandboxId: SandboxId): void {
    this.#tails.delete(sandboxId);
    for (const [jobId, last] of this.#ofJobs) if (last === sandboxId) this.#ofJobs.delete(jobId);
  }

  /**
   * @param id of the sandbox, or of a job.
   * @param maxBytes of the end, as text; a character that is cut is shown as cut.
   */
  of(id: SandboxId | string, maxBytes: number): LogTail | undefined {
    const tail = this.#tails.get(this.#ofJobs.get(id) ?? (id as SandboxId));
    if (tail === undefined) return undefined;
    const bytes = Buffer.from(tail.text);
    if (bytes.byteLength <= maxBytes) return tail;
    return { text: bytes.subarray(bytes.byteLength - maxBytes).toString(), isTruncated: true };
  }
}
