import type { Sample } from "./registry.ts";
import type { MetricName } from "./table.ts";
import { bucketsOf } from "./table.ts";

type Labels = Readonly<Record<string, string>>;

/** A fixed set of counts by one label, all there from the start. */
export class Counts<K extends string> {
  readonly #label: string;
  readonly #counts = new Map<K, number>();

  constructor(label: string, keys: readonly K[]) {
    this.#label = label;
    for (const key of keys) this.#counts.set(key, 0);
  }

  add(key: K, by = 1): void {
    this.#counts.set(key, (this.#counts.get(key) ?? 0) + by);
  }

  samples(): Sample[] {
    return [...this.#counts].map(([key, value]) => ({ value, labels: { [this.#label]: key } }));
  }
}

/** How often something took how much, in buckets. Its unit is its caller's. */
export class Histogram {
  readonly #bounds: Float64Array;
  readonly #counts: Float64Array;
  #sum = 0;

  /** @param bounds upper ones, rising. */
  constructor(bounds: readonly number[]) {
    this.#bounds = Float64Array.from(bounds);
    this.#counts = new Float64Array(bounds.length + 1);
  }

  observe(value: number): void {
    const bounds = this.#bounds;
    let at = 0;
    while (at < bounds.length && value > (bounds[at] as number)) at += 1;
    this.#counts[at] = (this.#counts[at] as number) + 1;
    this.#sum += value;
  }

  /** @param name of the metric. */
  samples(name: string, labels: Labels = {}): Sample[] {
    const samples: Sample[] = [];
    let total = 0;
    for (const [at, count] of this.#counts.entries()) {
      total += count;
      const le = String(this.#bounds[at] ?? "+Inf");
      samples.push({ metricName: `${name}_bucket`, labels: { ...labels, le }, value: total });
    }
    samples.push({ metricName: `${name}_sum`, labels, value: this.#sum });
    samples.push({ metricName: `${name}_count`, labels, value: total });
    return samples;
  }
}

/** Durations by one label, in the metric's buckets. Told in milliseconds, shown in seconds. */
export class Durations<K extends string> {
  readonly #name: MetricName;
  readonly #label: string;
  readonly #series = new Map<K, Histogram>();

  constructor(name: MetricName, label: string, keys: readonly K[]) {
    this.#name = name;
    this.#label = label;
    for (const key of keys) this.#series.set(key, new Histogram(bucketsOf(name)));
  }

  observe(key: K, ms: number): void {
    this.#series.get(key)?.observe(ms / 1000);
  }

  samples(): Sample[] {
    return [...this.#series].flatMap(([key, one]) => one.samples(this.#name, { [this.#label]: key }));
  }
}

/** A metric with one value and no labels. */
export function single(value: number | undefined): Sample[] {
  return value === undefined || Number.isNaN(value) ? [] : [{ value, labels: {} }];
}
