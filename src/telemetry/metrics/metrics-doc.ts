import type { MetricRow } from "./table.ts";
import { METRICS } from "./table.ts";

/** `docs/metrics.md`, from the table of metrics. */
export function writeMetricsDoc(): string {
  const rows = Object.entries<MetricRow>(METRICS).map(
    ([name, { type, help, labels }]) =>
      `| \`${name}\` | ${type} | ${labels.map((label) => `\`${label}\``).join(", ")} | ${help} |`,
  );
  const buckets = Object.entries<MetricRow>(METRICS).flatMap(([name, row]) =>
    row.buckets === undefined ? [] : [`| \`${name}\` | ${row.buckets.join(", ")} |`],
  );
  return `${[
    BEGINNING,
    "| metric | type | labels | meaning |",
    "| --- | --- | --- | --- |",
    ...rows,
    "\n## Buckets\n",
    "In seconds; each ends with `+Inf`.\n",
    "| histogram | upper bounds |",
    "| --- | --- |",
    ...buckets,
  ].join("\n")}\n`;
}

const BEGINNING = `# Metrics

Written by \`npm run docs\` from \`src/telemetry/metrics/table.ts\`. \`GET /monitoring/metrics\` and \`GET /metrics\` of the monitor
door serve them as Prometheus text; [monitoring.md](monitoring.md) says how to use them.

Every metric is there from the start, and so is every combination of its labels, at 0. Exceptions are figures that a host may
not have: pressure, GPUs and disk. No label holds an id or the name of an image.
`;
