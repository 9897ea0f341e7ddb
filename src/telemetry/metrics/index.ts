export { EngineCounters } from "./engine-counters.ts";
export { writeMetricsDoc } from "./metrics-doc.ts";
export type { Metrics } from "./open-metrics.ts";
export { openMetrics } from "./open-metrics.ts";
export type { DiskSpace, MetricSources, Pressure } from "./sources.ts";
export type { MetricName, MetricRow } from "./table.ts";
export { METRICS } from "./table.ts";
