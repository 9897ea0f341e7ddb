import { INDEXIFY_METRICS } from "./indexify/indexify-table.ts";
import type { MetricRow } from "./table.ts";
import { METRICS, QUEUE_METRICS } from "./table.ts";

type Table = Readonly<Record<string, MetricRow>>;

/** `docs/metrics.md`, from the tables of metrics. */
export function writeMetricsDoc(): string {
  return `${[
    BEGINNING,
    ...metricRows(METRICS),
    "\n## Buckets\n",
    "In seconds; each ends with `+Inf`.\n",
    ...bucketRows(METRICS),
    QUEUE,
    ...metricRows(QUEUE_METRICS),
    INDEXIFY,
    ...metricRows(INDEXIFY_METRICS),
    "\n### Its buckets\n",
    "Each ends with `+Inf`.\n",
    ...bucketRows(INDEXIFY_METRICS),
  ].join("\n")}\n`;
}

function metricRows(table: Table): string[] {
  const rows = Object.entries(table).map(
    ([name, { type, help, labels }]) =>
      `| \`${name}\` | ${type} | ${labels.map((label) => `\`${label}\``).join(", ")} | ${help} |`,
  );
  return ["| metric | type | labels | meaning |", "| --- | --- | --- | --- |", ...rows];
}

/** Histograms with the same buckets share a row. */
function bucketRows(table: Table): string[] {
  const names = new Map<string, string[]>();
  for (const [name, { buckets }] of Object.entries(table)) {
    if (buckets === undefined) continue;
    const bounds = buckets.join(", ");
    names.set(bounds, [...(names.get(bounds) ?? []), `\`${name}\``]);
  }
  const rows = [...names].map(([bounds, histograms]) => `| ${histograms.join(", ")} | ${bounds} |`);
  return ["| histogram | upper bounds |", "| --- | --- |", ...rows];
}

const BEGINNING = `# Metrics

Written by \`npm run docs\` from \`src/telemetry/metrics\`. \`GET /monitoring/metrics\` and \`GET /metrics\` of the monitor
door serve them as Prometheus text; [monitoring.md](monitoring.md) says how to use them.

Every metric is there from the start, and so is every combination of its labels, at 0. Exceptions are figures that a host may
not have: pressure, GPUs and disk. No label holds an id or the name of an image.
`;

const QUEUE = `
## With the stream door

Where jobs are taken from a [queue](queue.md), these are shown as well. All are there from the start at 0, and count since this
daemon began. How the jobs ended is in \`hearth_jobs_ended_total\`, with \`door="stream"\`.
`;

const INDEXIFY = `
## With the Indexify door

Where the [Indexify door](indexify.md) is used, these are shown as well. Names, labels and buckets are those of the executor that
the door stands in for, so that its dashboards and tests go on working; where those break the usual rules for names, these do too
(\`promtool\` says so of \`function_executors_count\` and of the two in megabytes). All are there from the start at 0, but the
samples of \`function_executor_infos_total\` and \`runnable_allocations_per_function_name\`, whose labels workers and applications
bring. There are no \`…_created\` samples. \`python_info\` says what runs the daemon, which is not Python; the metrics of Python's
garbage collector have no counterpart.
`;
