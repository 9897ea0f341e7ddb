export type { Traces } from "./open-traces.ts";
export { openTraces } from "./open-traces.ts";
