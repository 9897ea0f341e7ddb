/** What adds up: CPU in thousandths of a core, memory in bytes. */
export interface Amounts {
  readonly cpuMillis: number;
  readonly memoryBytes: number;
}

/** What is given or held in all. GPUs count in cards; one that several sandboxes share counts once. */
export interface Resources extends Amounts {
  readonly gpuCount: number;
}

/** A wish for cards. */
export interface GpuWish {
  readonly gpuCount: number;
  /** Memory wanted of each of the cards, in bytes; 0 stands for whole cards, shared with nobody. */
  readonly gpuMemoryBytes: number;
}

/** What one sandbox may use at most. */
export interface TaskResources extends Resources, GpuWish {}

export const MEBIBYTE = 1_048_576;

/** What a request gets that does not say otherwise (`contracts/meca.md` section 2). */
export const DEFAULT_RESOURCES: TaskResources = {
  cpuMillis: 1000,
  memoryBytes: 128 * MEBIBYTE,
  gpuCount: 0,
  gpuMemoryBytes: 0,
};

export const NO_RESOURCES: Resources = { cpuMillis: 0, memoryBytes: 0, gpuCount: 0 };

/** CPU and memory alone, from whatever holds them. */
export function amountsOf({ cpuMillis, memoryBytes }: Amounts): Amounts {
  return { cpuMillis, memoryBytes };
}

export function plus(a: Amounts, b: Amounts): Amounts {
  return { cpuMillis: a.cpuMillis + b.cpuMillis, memoryBytes: a.memoryBytes + b.memoryBytes };
}

export function minus(a: Amounts, b: Amounts): Amounts {
  return { cpuMillis: a.cpuMillis - b.cpuMillis, memoryBytes: a.memoryBytes - b.memoryBytes };
}

/** Whether `wish` is at or under `room` in CPU and in memory. Cards are no amount: see `placeOnCards`. */
export function fits(wish: Amounts, room: Amounts): boolean {
  return wish.cpuMillis <= room.cpuMillis && wish.memoryBytes <= room.memoryBytes;
}
