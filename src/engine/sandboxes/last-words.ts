import type { Clock, LogTail, Sandbox, SandboxId } from "../../core/index.ts";
import { orAbort, withDeadline } from "../../std/index.ts";
import type { SandboxLog } from "../executor.ts";
import type { Named } from "./is-called.ts";
import { isCalled } from "./is-called.ts";

/** What is kept of one sandbox, and of how many; the oldest is forgotten first. */
const KEPT_BYTES = 64 * 1024;
const KEPT_SANDBOXES = 64;
/** What is dead can wait a little for its removal; its share comes back only after that. */
const READ_DEADLINE_MS = 1000;

/** Whose words are kept, and by what they can be asked for. */
export type Speaker = Omit<Named, "label">;

interface Kept extends Named {
  readonly tail: LogTail;
}

/** What the code of sandboxes that are gone printed last: whoever asks why a task died comes too late for the sandbox itself. */
export class LastWords {
  readonly #clock: Clock;
  /** The newest is the last. */
  readonly #kept = new Map<SandboxId, Kept>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Reads them while the sandbox is still there. Never throws: they are worth nothing compared with its removal. */
  async keep(sandbox: Pick<Sandbox, "label" | "tailLog">, speaker: Speaker): Promise<void> {
    try {
      const tail = await withDeadline(
        { ms: READ_DEADLINE_MS, code: "ENGINE_UNAVAILABLE", clock: this.#clock },
        // A removal must not hang on a driver that minds no signal.
        (signal) => orAbort(sandbox.tailLog(KEPT_BYTES, signal), signal),
      );
      this.#kept.set(speaker.sandboxId, { ...speaker, label: sandbox.label, tail });
      const [oldest] = this.#kept.keys();
      if (this.#kept.size > KEPT_SANDBOXES && oldest !== undefined) this.#kept.delete(oldest);
    } catch {
      // Nothing is kept of it then.
    }
  }

  has(sandboxId: SandboxId): boolean {
    return this.#kept.has(sandboxId);
  }

  /**
   * @param id of the sandbox, or of a job, whose last one is meant.
   * @param maxBytes of the end, as text; a character that is cut is shown as cut.
   */
  of(id: string, maxBytes: number): SandboxLog | undefined {
    return this.#newest(maxBytes, ({ sandboxId, jobId }) => sandboxId === id || jobId === id);
  }

  /**
   * Of the newest one that a text may mean.
   *
   * @param maxBytes as above.
   */
  called(text: string, maxBytes: number): SandboxLog | undefined {
    return this.#newest(maxBytes, (kept) => isCalled(kept, text));
  }

  #newest(maxBytes: number, isMeant: (kept: Kept) => boolean): SandboxLog | undefined {
    const kept = [...this.#kept.values()].findLast(isMeant);
    if (kept === undefined) return undefined;
    const whose = { sandboxId: kept.sandboxId, hasEnded: true };
    const bytes = Buffer.from(kept.tail.text);
    if (bytes.byteLength <= maxBytes) return { ...kept.tail, ...whose };
    return { text: bytes.subarray(bytes.byteLength - maxBytes).toString(), isTruncated: true, ...whose };
  }
}
