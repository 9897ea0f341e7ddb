import type { Sample } from "./registry.ts";
import type { MetricName } from "./table.ts";
import { bucketsOf } from "./table.ts";

type Labels = Readonly<Record<string, string>>;

const NO_LABELS: Labels = {};

/** A fixed set of counts by one label, all there from the start. */
export class Counts<K extends string> {
  readonly #counts = new Map<K, number>();
  readonly #labels: ReadonlyMap<K, Labels>;
  /** What was shown last, as long as nothing is counted on top of it. */
  #shown: readonly Sample[] | undefined;

  constructor(label: string, keys: readonly K[]) {
    for (const key of keys) this.#counts.set(key, 0);
    this.#labels = new Map(keys.map((key) => [key, { [label]: key }]));
  }

  add(key: K, by = 1): void {
    this.#counts.set(key, (this.#counts.get(key) ?? 0) + by);
    this.#shown = undefined;
  }

  samples(): readonly Sample[] {
    this.#shown ??= [...this.#labels].map(([key, labels]) => ({ labels, value: this.#counts.get(key) ?? 0 }));
    return this.#shown;
  }
}

/** How often something took how much, in buckets. Its unit is its caller's. */
export class Histogram {
  readonly #bounds: Float64Array;
  readonly #counts: Float64Array;
  #sum = 0;
  /** What was shown last; it stands as long as nothing comes on top of it: most histograms rest from one scrape to the next. */
  #shown: { readonly name: string; readonly labels: Labels; readonly samples: readonly Sample[] } | undefined;
  #isMore = false;

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
    this.#isMore = true;
  }

  /** @param name of the metric. */
  samples(name: string, labels: Labels = NO_LABELS): readonly Sample[] {
    const last = this.#shown;
    const isSame = last?.name === name && last.labels === labels;
    if (isSame && !this.#isMore) return last.samples;
    const series = isSame ? last.samples : this.#series(name, labels);
    const samples = this.#count(series);
    this.#shown = { name, labels, samples };
    this.#isMore = false;
    return samples;
  }

  #series(name: string, labels: Labels): readonly Sample[] {
    const buckets = Array.from(this.#counts, (_, at) => ({
      metricName: `${name}_bucket`,
      labels: { ...labels, le: String(this.#bounds[at] ?? "+Inf") },
      value: 0,
    }));
    const [sum, count] = [`${name}_sum`, `${name}_count`];
    return [...buckets, { metricName: sum, labels, value: 0 }, { metricName: count, labels, value: 0 }];
  }

  /** The same series as they are now. */
  #count(series: readonly Sample[]): readonly Sample[] {
    let total = 0;
    return series.map((one, at) => {
      total += this.#counts[at] ?? 0;
      return { ...one, value: at === this.#counts.length ? this.#sum : total };
    });
  }
}

/** Durations by one label, in the metric's buckets. Told in milliseconds, shown in seconds. */
export class Durations<K extends string> {
  readonly #name: MetricName;
  readonly #series = new Map<K, Histogram>();
  readonly #labels: readonly Labels[];

  constructor(name: MetricName, label: string, keys: readonly K[]) {
    this.#name = name;
    this.#labels = keys.map((key) => ({ [label]: key }));
    for (const key of keys) this.#series.set(key, new Histogram(bucketsOf(name)));
  }

  observe(key: K, ms: number): void {
    this.#series.get(key)?.observe(ms / 1000);
  }

  samples(): Sample[] {
    return [...this.#series.values()].flatMap((one, at) => one.samples(this.#name, this.#labels[at]));
  }
}

/** A metric with one value and no labels. */
export function single(value: number | undefined): Sample[] {
  return value === undefined || Number.isNaN(value) ? [] : [{ value, labels: {} }];
}
