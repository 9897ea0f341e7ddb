import type { Clock, Log } from "../../../core/index.ts";

interface Illness {
  readonly reason: string;
  readonly nextTryMs: number;
}

/** How often a stream that cannot be used is tried again: the repair needs no word to us. */
const RETRY_MS = 5000;

/** Which streams cannot be used until somebody repairs them. */
export class StreamHealth {
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #retryMs: number;
  readonly #ill = new Map<string, Illness>();

  constructor(clock: Clock, log: Log, retryMs = RETRY_MS) {
    this.#clock = clock;
    this.#log = log;
    this.#retryMs = retryMs;
  }

  /** The first that is ill, for those who ask how the source is. */
  get worst(): { readonly stream: string; readonly reason: string } | undefined {
    const [first] = this.#ill;
    return first === undefined ? undefined : { stream: first[0], reason: first[1].reason };
  }

  /** Those that may be tried now. */
  usable(streams: readonly string[]): readonly string[] {
    const nowMs = this.#clock.nowMs();
    return streams.filter((stream) => (this.#ill.get(stream)?.nextTryMs ?? 0) <= nowMs);
  }

  fell(stream: string, reason: string): void {
    const nextTryMs = this.#clock.nowMs() + this.#retryMs;
    if (!this.#ill.has(stream)) this.#log.log("error", "queue.broken", { stream, reason });
    this.#ill.set(stream, { reason, nextTryMs });
  }

  worked(stream: string): void {
    if (this.#ill.delete(stream)) this.#log.log("info", "queue.repaired", { stream });
  }
}
