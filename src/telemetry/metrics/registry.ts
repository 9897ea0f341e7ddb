import { setImmediate } from "node:timers/promises";
import type { Metric } from "prom-client";
import { Registry } from "prom-client";
import type { MetricName, MetricRow } from "./table.ts";

/** A scrape works for so long at once; then everything else has its turn. */
const TURN_MS = 2;

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
  for (const { name, type, help, read } of metrics) {
    const get = (): Promise<unknown> =>
      Promise.resolve({ name, help, type, aggregator: "sum", values: read() });
    // The registry asks a metric for its name and its values; its type only knows the library's own classes.
    registry.registerMetric({ name, help, type, get } as unknown as Metric);
  }
  const names = metrics.map(({ name }) => name);
  return { contentType: registry.contentType, text: () => textInTurns(registry, names) };
}

/** As the registry itself would write it, but never holding the event loop for long: calls pass while somebody scrapes. */
async function textInTurns(registry: Registry, names: readonly string[]): Promise<string> {
  const parts: string[] = [];
  let turnBeganMs = performance.now();
  for (const name of names) {
    parts.push(await registry.getSingleMetricAsString(name));
    if (performance.now() - turnBeganMs < TURN_MS) continue;
    await setImmediate();
    turnBeganMs = performance.now();
  }
  return `${parts.join("\n\n")}\n`;
}
