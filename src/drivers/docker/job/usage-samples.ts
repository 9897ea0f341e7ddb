import type { SandboxUsage } from "../../../core/index.ts";
import { systemClock } from "../../../std/index.ts";

/** A short job should have been seen as well; what is asked of the engine costs it some milliseconds. */
const FIRST_MS = 50;
const GROWTH = 2;
const MOST_MS = 5000;

/**
 * What a container has used, looked at now and then while it runs: an engine keeps no count of one that has ended. CPU time never
 * goes back, and the peak is the highest that was seen by anybody.
 */
export class UsageSamples {
  readonly #read: (signal: AbortSignal) => Promise<SandboxUsage>;
  readonly #stop = new AbortController();
  #last: SandboxUsage = { cpuMs: 0, memoryBytes: 0, memoryPeakBytes: undefined };

  readonly #closing: AbortSignal;

  /**
   * @param read asks for the present figures; may fail, which then is one look less.
   * @param closing ends it as `stop` does.
   */
  constructor(read: (signal: AbortSignal) => Promise<SandboxUsage>, closing: AbortSignal) {
    this.#read = read;
    this.#closing = closing;
  }

  /** Begins to look, less and less often. */
  start(): void {
    this.#closing.addEventListener("abort", this.stop, { once: true });
    if (this.#closing.aborted) this.stop();
    this.#lookAfter(FIRST_MS);
  }

  readonly stop = (): void => {
    this.#closing.removeEventListener("abort", this.stop);
    this.#stop.abort();
  };

  get last(): SandboxUsage {
    return this.#last;
  }

  /** Looks now. */
  async take(signal: AbortSignal): Promise<void> {
    this.#note(await this.#read(signal));
  }

  #lookAfter(ms: number): void {
    const { signal } = this.#stop;
    if (signal.aborted) return;
    const cancel = systemClock.after(ms, () => {
      signal.removeEventListener("abort", cancel);
      this.take(signal)
        .catch(() => undefined) // one look less
        .finally(() => this.#lookAfter(Math.min(MOST_MS, ms * GROWTH)));
    });
    signal.addEventListener("abort", cancel, { once: true });
  }

  /** A container whose processes are gone shows nothing any more. */
  #note({ cpuMs, memoryBytes, memoryPeakBytes }: SandboxUsage): void {
    const peaks = [this.#last.memoryPeakBytes, memoryPeakBytes, memoryBytes].filter(
      (bytes) => bytes !== undefined,
    );
    this.#last = {
      cpuMs: Math.max(this.#last.cpuMs, cpuMs),
      memoryBytes: memoryBytes > 0 ? memoryBytes : this.#last.memoryBytes,
      memoryPeakBytes: Math.max(...peaks),
    };
  }
}
