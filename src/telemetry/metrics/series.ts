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

/** Durations by one label, in the metric's buckets. Told in milliseconds, shown in seconds. */
export class Durations<K extends string> {
  readonly #name: MetricName;
  readonly #label: string;
  readonly #bounds: Float64Array;
  readonly #series = new Map<K, Buckets>();

  constructor(name: MetricName, label: string, keys: readonly K[]) {
    this.#name = name;
    this.#label = label;
    this.#bounds = Float64Array.from(bucketsOf(name), (seconds) => seconds * 1000);
    for (const key of keys)
      this.#series.set(key, { counts: new Float64Array(this.#bounds.length + 1), sumMs: 0 });
  }

  observe(key: K, ms: number): void {
    const series = this.#series.get(key);
    if (series === undefined) return;
    const bounds = this.#bounds;
    let at = 0;
    while (at < bounds.length && ms > (bounds[at] as number)) at += 1;
    series.counts[at] = (series.counts[at] as number) + 1;
    series.sumMs += ms;
  }

  samples(): Sample[] {
    return [...this.#series].flatMap(([key, series]) => this.#samplesOf({ [this.#label]: key }, series));
  }

  #samplesOf(labels: Labels, { counts, sumMs }: Buckets): Sample[] {
    const samples: Sample[] = [];
    let total = 0;
    for (const [at, count] of counts.entries()) {
      total += count;
      const bound = this.#bounds[at];
      const le = bound === undefined ? "+Inf" : String(bound / 1000);
      samples.push({ metricName: `${this.#name}_bucket`, labels: { ...labels, le }, value: total });
    }
    samples.push({ metricName: `${this.#name}_sum`, labels, value: sumMs / 1000 });
    samples.push({ metricName: `${this.#name}_count`, labels, value: total });
    return samples;
  }
}

interface Buckets {
  readonly counts: Float64Array;
  sumMs: number;
}

/** A metric with one value and no labels. */
export function single(value: number | undefined): Sample[] {
  return value === undefined || Number.isNaN(value) ? [] : [{ value, labels: {} }];
}
