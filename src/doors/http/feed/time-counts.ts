import type { HostEvent } from "../../../contract/v1/events.ts";

type Percentiles = Extract<HostEvent, { type: "calls" }>["tookMs"];

/** Each step is 5 % above the one before; from a hundredth of a millisecond to a day. */
const STEP = Math.log(1.05);
const LEAST_MS = 0.01;
const STEPS = Math.ceil(Math.log(86_400_000 / LEAST_MS) / STEP) + 1;

/** Times by how often they came, so that percentiles of any number of them cost the same memory. */
export class TimeCounts {
  readonly #counts = new Uint32Array(STEPS);
  #total = 0;
  #max = 0;

  add(ms: number): void {
    const step = ms <= LEAST_MS ? 0 : Math.min(STEPS - 1, Math.ceil(Math.log(ms / LEAST_MS) / STEP));
    this.#counts[step] = (this.#counts[step] ?? 0) + 1;
    this.#total += 1;
    if (ms > this.#max) this.#max = ms;
  }

  /** What was counted, and begins anew. */
  take(): Percentiles {
    const taken = { p50: this.#at(0.5), p90: this.#at(0.9), p99: this.#at(0.99), max: round(this.#max) };
    this.#counts.fill(0);
    this.#total = 0;
    this.#max = 0;
    return taken;
  }

  #at(share: number): number {
    if (this.#total === 0) return 0;
    const wanted = Math.ceil(this.#total * share);
    let seen = 0;
    for (let step = 0; step < STEPS; step += 1) {
      seen += this.#counts[step] ?? 0;
      if (seen >= wanted) return round(Math.min(this.#max, LEAST_MS * Math.exp(step * STEP)));
    }
    return round(this.#max);
  }
}

function round(ms: number): number {
  return Math.round(ms * 1000) / 1000;
}
