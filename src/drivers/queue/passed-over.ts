/** So long a host lets others try what it cannot run. */
const LEASES = 2;
/** Beyond these the longest passed over is asked for again: what is told to Redis with each question stays bounded. */
const LIMIT = 10_000;

/** Entries that this host has handed back because it cannot run them. */
export class PassedOver {
  readonly #forMs: number;
  readonly #nowMs: () => number;
  /** By the stream and the id, the oldest first: when each may be asked for again. */
  readonly #untilMs = new Map<string, number>();

  constructor(leaseMs: number, nowMs: () => number) {
    this.#forMs = leaseMs * LEASES;
    this.#nowMs = nowMs;
  }

  add(name: string): void {
    this.#untilMs.delete(name);
    this.#untilMs.set(name, this.#nowMs() + this.#forMs);
    const [oldest] = this.#untilMs.keys();
    if (this.#untilMs.size > LIMIT && oldest !== undefined) this.#untilMs.delete(oldest);
  }

  /** Those that are passed over now. */
  names(): readonly string[] {
    const nowMs = this.#nowMs();
    for (const [name, untilMs] of this.#untilMs) {
      if (untilMs > nowMs) break;
      this.#untilMs.delete(name);
    }
    return [...this.#untilMs.keys()];
  }
}
