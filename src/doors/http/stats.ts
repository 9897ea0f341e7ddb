import type { Stats } from "../../contract/v1/host.ts";
import { MEBIBYTE } from "../../core/index.ts";
import type { ExecutorView } from "../../engine/executor.ts";

/** The contract's eleven figures, in its units: cores, MB, and percent from 0 to 100. */
export function toStats({ host, usage, capacity, reserved, gpuModel }: ExecutorView): Stats {
  return {
    total_cpu: host.cpuMillis / 1000,
    total_mem: Math.floor(host.memoryBytes / MEBIBYTE),
    used_cpu: rounded(usage.cpuPercent),
    used_mem: rounded(usage.memoryPercent),
    task_cpu: capacity.cpuMillis / 1000,
    task_mem: Math.floor(capacity.memoryBytes / MEBIBYTE),
    task_used_cpu: percent(reserved.cpuMillis, capacity.cpuMillis),
    task_used_mem: percent(reserved.memoryBytes, capacity.memoryBytes),
    gpu_model: gpuModel,
    task_gpu: capacity.gpuCount,
    task_used_gpu: reserved.gpuCount,
  };
}

function percent(part: number, whole: number): number {
  return whole === 0 ? 0 : rounded((part / whole) * 100);
}

function rounded(value: number): number {
  return Math.round(value * 100) / 100;
}
