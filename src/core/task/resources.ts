/** CPU is counted in thousandths of a core, memory in bytes, GPUs in cards. */
export interface Resources {
  readonly cpuMillis: number;
  readonly memoryBytes: number;
  readonly gpuCount: number;
}

/** What one sandbox may use at most. */
export interface TaskResources extends Resources {
  /** Memory wanted of each of its cards, in bytes; 0 stands for whole cards, shared with nobody. */
  readonly gpuMemoryBytes: number;
}

export const MEBIBYTE = 1_048_576;

/** What a request gets that does not say otherwise (`contracts/meca.md` section 2). */
export const DEFAULT_RESOURCES: TaskResources = {
  cpuMillis: 1000,
  memoryBytes: 128 * MEBIBYTE,
  gpuCount: 0,
  gpuMemoryBytes: 0,
};

export const NO_RESOURCES: Resources = { cpuMillis: 0, memoryBytes: 0, gpuCount: 0 };

export function plus(a: Resources, b: Resources): Resources {
  return {
    cpuMillis: a.cpuMillis + b.cpuMillis,
    memoryBytes: a.memoryBytes + b.memoryBytes,
    gpuCount: a.gpuCount + b.gpuCount,
  };
}

export function minus(a: Resources, b: Resources): Resources {
  return {
    cpuMillis: a.cpuMillis - b.cpuMillis,
    memoryBytes: a.memoryBytes - b.memoryBytes,
    gpuCount: a.gpuCount - b.gpuCount,
  };
}

/** Whether `wish` is at or under `room` in every dimension. */
export function fits(wish: Resources, room: Resources): boolean {
  return (
    wish.cpuMillis <= room.cpuMillis && wish.memoryBytes <= room.memoryBytes && wish.gpuCount <= room.gpuCount
  );
}

/** The dimensions in which `wish` is above `room`, by the names that callers use. */
export function shortages(wish: Resources, room: Resources): readonly ("cpu" | "mem" | "gpu_count")[] {
  const short: ("cpu" | "mem" | "gpu_count")[] = [];
  if (wish.cpuMillis > room.cpuMillis) short.push("cpu");
  if (wish.memoryBytes > room.memoryBytes) short.push("mem");
  if (wish.gpuCount > room.gpuCount) short.push("gpu_count");
  return short;
}
