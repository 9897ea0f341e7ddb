export { EngineCounters } from "./engine-counters.ts";
export { writeMetricsDoc } from "./metrics-doc.ts";
export type { DiskSpace, MetricSources, Pressure } from "./sources.ts";
export type { MetricName, MetricRow } from "./table.ts";
export { METRICS } from "./table.ts";
