export { EngineCounters } from "./engine-counters.ts";
export { IndexifyCounters } from "./indexify/indexify-counters.ts";
export type { IndexifyFigures, ShownIndexify } from "./indexify/indexify-readers.ts";
export { writeMetricsDoc } from "./metrics-doc.ts";
export type { DiskSpace, Pressure } from "./sources.ts";
export type { MetricRow } from "./table.ts";
export { METRICS, QUEUE_METRICS } from "./table.ts";
