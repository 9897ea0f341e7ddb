export { openFilesLimit } from "./open-files.ts";
export type { HostMonitorOptions } from "./open-host-monitor.ts";
export { openHostMonitor } from "./open-host-monitor.ts";
