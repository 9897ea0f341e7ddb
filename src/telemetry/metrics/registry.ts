import type { Metric } from "prom-client";
import { Registry } from "prom-client";
import { ScrapeTurns } from "./scrape-turns.ts";
import type { MetricName, MetricRow } from "./table.ts";

/** One line of the exposition. `metricName` differs from the metric's own for the parts of a histogram. */
export interface Sample {
  readonly value: number;
  readonly labels: Readonly<Record<string, string | number>>;
  readonly metricName?: string;
}

/** Reads every metric of a table as it is now. A metric without a reader does not compile, nor does a reader without a row. */
export type ReadersOf<N extends string> = { readonly [K in N]: () => readonly Sample[] };
export type Readers = ReadersOf<MetricName>;

/** A metric, and what reads it. */
export interface ReadMetric extends MetricRow {
  readonly name: string;
  read(): readonly Sample[];
}

export function joinReaders<N extends string>(
  table: Readonly<Record<N, MetricRow>>,
  readers: ReadersOf<N>,
): ReadMetric[] {
  const names = Object.keys(table) as N[];
  return names.map((name) => ({ ...table[name], name, read: readers[name] }));
}

export interface MetricsText {
  readonly contentType: string;
  /** The exposition in Prometheus' text format. */
  text(): Promise<string>;
}

/**
 * The daemon's one registry. Its metrics are read when somebody asks: whoever counts does so in plain numbers, since a counter
 * with a label object for each call would cost the warm path more than all of its other bookkeeping.
 */
export function openRegistry(metrics: readonly ReadMetric[]): MetricsText {
  const registry = new Registry();
  const shown = metrics.map((metric) => new ShownMetric(registry, metric));
  const turns = new ScrapeTurns();
  return { contentType: registry.contentType, text: () => textInTurns(shown, turns) };
}

/** A metric as it was written last. */
interface Shown {
  readonly samples: readonly Sample[];
  readonly text: string;
  /** The text's lines; the first two say what the metric is, then each is a sample's. */
  readonly lines: readonly string[];
}

const HEAD_LINES = 2;

/** One metric's lines. Few metrics change between two scrapes, and of those that do only numbers. */
class ShownMetric {
  readonly #registry: Registry;
  readonly #metric: ReadMetric;
  #samples: readonly Sample[] = [];
  #last: Shown | undefined;

  constructor(registry: Registry, metric: ReadMetric) {
    this.#registry = registry;
    this.#metric = metric;
    const { name, type, help } = metric;
    const get = (): Promise<unknown> =>
      Promise.resolve({ name, help, type, aggregator: "sum", values: this.#samples });
    // The registry asks a metric for its name and its values; its type only knows the library's own classes.
    registry.registerMetric({ name, help, type, get } as unknown as Metric);
  }

  /** As the registry writes it. */
  text(): string | Promise<string> {
    const samples = this.#metric.read();
    const known = this.#last && withNumbers(this.#last, samples);
    if (known === undefined) return this.#write(samples);
    this.#last = known;
    return known.text;
  }

  async #write(samples: readonly Sample[]): Promise<string> {
    // Asked for at once, so that another scrape meanwhile takes nothing from this one.
    this.#samples = samples;
    const text = await this.#registry.getSingleMetricAsString(this.#metric.name);
    this.#last = { samples, text, lines: text.split("\n") };
    return text;
  }
}

/** The same series with other numbers; `undefined` where the registry has to write it, as it has other series or none that we know of. */
function withNumbers(last: Shown, samples: readonly Sample[]): Shown | undefined {
  if (samples === last.samples) return last;
  if (samples.length !== last.samples.length || last.lines.length !== samples.length + HEAD_LINES)
    return undefined;
  let lines: string[] | undefined;
  for (const [index, sample] of samples.entries()) {
    const before = last.samples[index] as Sample;
    if (before === sample) continue;
    if (!isOfSameSeries(before, sample)) return undefined;
    if (Object.is(before.value, sample.value)) continue;
    // How the others are spelt is the registry's to say.
    if (!Number.isFinite(sample.value)) return undefined;
    lines ??= [...last.lines];
    const line = last.lines[index + HEAD_LINES] as string;
    lines[index + HEAD_LINES] = `${line.slice(0, line.lastIndexOf(" "))} ${sample.value}`;
  }
  if (lines === undefined) return last;
  return { samples, lines, text: lines.join("\n") };
}

function isOfSameSeries(before: Sample, now: Sample): boolean {
  if (before.metricName !== now.metricName) return false;
  if (before.labels === now.labels) return true;
  const names = Object.keys(before.labels);
  if (names.length !== Object.keys(now.labels).length) return false;
  return names.every((name) => before.labels[name] === now.labels[name]);
}

/** As the registry itself would write it, but never holding the event loop for long: calls pass while somebody scrapes. */
async function textInTurns(metrics: readonly ShownMetric[], turns: ScrapeTurns): Promise<string> {
  const parts: string[] = [];
  turns.begin();
  for (const metric of metrics) {
    const text = metric.text();
    parts.push(typeof text === "string" ? text : await text);
    if (turns.isOver()) await turns.next();
  }
  return `${parts.join("\n\n")}\n`;
}
