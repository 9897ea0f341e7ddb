import type { OutputStream } from "./output-stream.ts";

/** What is read of one sandbox's output at full speed within one window; a task that prints more waits for the next. */
export const PACE_BYTES = 4 * 1_048_576;
export const PACE_WINDOW_MS = 250;

/**
 * Keeps a task that floods its output from taking the daemon's CPU: some 16 MiB a second are read, which costs about a twentieth
 * of a core. The task is slowed, never held up for good.
 */
export class OutputPace {
  readonly #streams: readonly Pick<OutputStream, "pause" | "resume">[];
  #windowEndMs = 0;
  #bytes = 0;

  constructor(streams: readonly Pick<OutputStream, "pause" | "resume">[]) {
    this.#streams = streams;
  }

  count(bytes: number): void {
    const nowMs = performance.now();
    if (nowMs >= this.#windowEndMs) {
      this.#windowEndMs = nowMs + PACE_WINDOW_MS;
      this.#bytes = 0;
    }
    this.#bytes += bytes;
    if (this.#bytes < PACE_BYTES) return;
    this.#bytes = 0;
    for (const stream of this.#streams) stream.pause();
    setTimeout(
      () => {
        for (const stream of this.#streams) stream.resume();
      },
      Math.max(1, this.#windowEndMs - nowMs),
    );
  }
}
