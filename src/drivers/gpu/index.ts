export type { GpuMonitorOptions, OpenGpuMonitor } from "./open-gpu-monitor.ts";
export { openGpuMonitor } from "./open-gpu-monitor.ts";
