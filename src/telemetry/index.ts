export type { LogOptions, OpenLog } from "./log.ts";
export { openLog } from "./log.ts";
export { silentLog } from "./silent-log.ts";
