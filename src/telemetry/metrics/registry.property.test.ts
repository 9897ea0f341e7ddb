import fc from "fast-check";
import { expect, test } from "vitest";
import type { ReadMetric, Sample } from "./registry.ts";
import { openRegistry } from "./registry.ts";
import { Histogram } from "./series.ts";

const value = fc.constantFrom(0, -0, 1, 2.5, Number.NaN, Number.POSITIVE_INFINITY);
const labels = fc.constantFrom({}, { a: "1" }, { a: "2" }, { b: "1" }, { a: "1", b: "1" }, { a: 'x"\n' });
const sample = fc.record({ value, labels, metricName: fc.constantFrom("m", "m_sum") });
const samples = fc.array(sample, { maxLength: 3 });

const metric = (name: string, read: () => readonly Sample[]): ReadMetric =>
  ({ name, type: "gauge", help: "a figure", read }) as ReadMetric;

test("whatever changes between two scrapes, the text is that of a registry which sees its metrics for the first time", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(fc.tuple(samples, samples), { minLength: 1, maxLength: 6 }), async (steps) => {
      let shown: readonly (readonly Sample[])[] = [];
      const metrics = ["m", "n"].map((name, at) => metric(name, () => shown[at] ?? []));
      const registry = openRegistry(metrics);
      for (const step of steps) {
        // Of equal content, and not the same objects.
        shown = structuredClone(step);
        expect(await registry.text()).toBe(await openRegistry(metrics).text());
      }
    }),
  );
});

const series = fc.constantFrom<Pick<Sample, "labels" | "metricName">>(
  { labels: {} },
  { labels: { a: "1" }, metricName: "m_sum" },
  { labels: { a: 'x y"\\\n' } },
  { labels: { a: "2", b: " 7" } },
);
const figure = fc.oneof(value, fc.double(), fc.maxSafeInteger());

test("series that stay while their numbers change are written as the registry writes them", async () => {
  const rows = fc.array(fc.tuple(series, fc.array(figure, { minLength: 5, maxLength: 5 })), { maxLength: 4 });
  await fc.assert(
    fc.asyncProperty(rows, async (all) => {
      let scrape = 0;
      const read = (): Sample[] => all.map(([one, values]) => ({ ...one, value: values[scrape] ?? 0 }));
      const metrics = [metric("m", read)];
      const registry = openRegistry(metrics);
      for (; scrape < 5; scrape += 1) expect(await registry.text()).toBe(await openRegistry(metrics).text());
    }),
  );
});

test("two scrapes at once each tell what was so when they asked", async () => {
  let now = 0;
  const registry = openRegistry([metric("m", () => [{ value: now, labels: {} }])]);
  const ask = (): Promise<string> => {
    now += 1;
    return registry.text();
  };
  const texts = await Promise.all([ask(), ask(), ask()]);
  expect(texts.map((text) => /^m (\d)$/m.exec(text)?.[1])).toEqual(["1", "2", "3"]);
  expect(await registry.text()).toContain("\nm 3\n");
});

test("a histogram tells what came since it was last shown, and by which name and labels it is asked", () => {
  const histogram = new Histogram([1, 2]);
  const counts = (...asked: Parameters<Histogram["samples"]>): readonly string[] =>
    histogram.samples(...asked).map((one) => `${one.metricName} ${JSON.stringify(one.labels)} ${one.value}`);
  expect(counts("h").at(-1)).toBe("h_count {} 0");
  histogram.observe(1.5);
  expect(counts("h")).toEqual([
    'h_bucket {"le":"1"} 0',
    'h_bucket {"le":"2"} 1',
    'h_bucket {"le":"+Inf"} 1',
    "h_sum {} 1.5",
    "h_count {} 1",
  ]);
  expect(counts("h", { a: "1" }).at(-1)).toBe('h_count {"a":"1"} 1');
  expect(counts("g").at(-1)).toBe("g_count {} 1");
});
