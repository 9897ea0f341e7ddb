/** A scrape of the daemon's metrics, taken apart. */
export interface Exposition {
  readonly text: string;
  /** By metric name: what `# TYPE` says. */
  readonly types: ReadonlyMap<string, string>;
  /** Every sample's value, by its whole name with labels as they stand. */
  readonly samples: ReadonlyMap<string, number>;
  /** The value of one sample; labels in the order in which they are written. @throws when there is none. */
  value(name: string, labels?: Readonly<Record<string, string>>): number;
  /** The sum of all samples of a metric. */
  sum(name: string): number;
}

export async function scrape(monitorUrl: string, path = "/metrics"): Promise<Exposition> {
  const answer = await fetch(`${monitorUrl}${path}`, { signal: AbortSignal.timeout(10_000) });
  return parseExposition(await answer.text());
}

export function parseExposition(text: string): Exposition {
  const types = new Map<string, string>();
  const samples = new Map<string, number>();
  for (const line of text.split("\n")) {
    const type = /^# TYPE (\S+) (\S+)$/.exec(line);
    if (type !== null) types.set(type[1] ?? "", type[2] ?? "");
    const sample = /^([a-zA-Z_:][\w:]*(?:\{.*\})?) (\S+)$/.exec(line);
    if (sample !== null) samples.set(sample[1] ?? "", Number(sample[2]));
  }
  return {
    text,
    types,
    samples,
    value(name, labels = {}) {
      const inner = Object.entries(labels)
        .map(([label, value]) => `${label}="${value}"`)
        .join(",");
      const found = samples.get(inner === "" ? name : `${name}{${inner}}`);
      if (found === undefined) throw new Error(`there is no ${name}{${inner}}`);
      return found;
    },
    sum(name) {
      let sum = 0;
      for (const [key, value] of samples) if (key === name || key.startsWith(`${name}{`)) sum += value;
      return sum;
    },
  };
}
