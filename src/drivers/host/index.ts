export { openFilesLimit } from "./open-files.ts";
export type { HostDiskOptions } from "./open-host-disk.ts";
export { openHostDisk } from "./open-host-disk.ts";
export type { HostMonitorOptions } from "./open-host-monitor.ts";
export { openHostMonitor } from "./open-host-monitor.ts";
