export type { HostMonitorOptions } from "./open-host-monitor.ts";
export { openHostMonitor } from "./open-host-monitor.ts";
