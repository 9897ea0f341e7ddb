export type { LogOptions, OpenLog } from "./log.ts";
export { openLog } from "./log.ts";
export { printable, printableFields, text } from "./redact.ts";
export type { LoggedLine } from "./silent-log.ts";
export { recordingLog, silentLog } from "./silent-log.ts";
