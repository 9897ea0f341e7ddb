/** Whether a card can be used at all: an XID error, uncorrected ECC errors or a card that fell off the bus say no. */
export type GpuHealth = { readonly isHealthy: true } | { readonly isHealthy: false; readonly reason: string };

/** One card as it was last read. */
export interface GpuReading {
  /** Its UUID (`GPU-…`): cards are booked and handed out by it, since indices move when a card vanishes. */
  readonly id: string;
  /** Its place in the host's own order, for people. */
  readonly index: number;
  readonly model: string;
  readonly memoryBytes: number;
  readonly memoryUsedBytes: number;
  /** Share of the last sample in which it computed, 0 to 100. */
  readonly computePercent: number;
  readonly health: GpuHealth;
  /** Processes that use it, ours and others, as far as the driver tells. */
  readonly pids: readonly number[];
}

/**
 * Reads the host's GPUs behind the daemon's back. Synchronous and cheap: a driver that hangs, fails or is missing makes the
 * list empty, or old readings unhealthy, and never blocks a caller.
 */
export interface GpuMonitor extends AsyncDisposable {
  /** How they are read now; `none` is a normal state. */
  readonly source: "nvml" | "nvidia-smi" | "none";
  /** Why there are none, or why the last reading failed; `undefined` when all is well, and before the first reading. */
  readonly trouble: string | undefined;
  /** Only cards that this daemon may use, in the host's order. */
  readings(): readonly GpuReading[];
  /** Looks for cards, or stops looking. */
  setEnabled(isEnabled: boolean): void;
  /** Called after each reading that differs; the returned function ends that. */
  onChange(listener: () => void): () => void;
}

/** What a driver knows of whether tasks can be given cards through it. */
export type HandoverAnswer =
  /** It has not been tried yet. */
  | { readonly type: "untried" }
  /** It was tried and worked, or could not be tried: then a start that needs cards will tell. */
  | { readonly type: "usable" }
  | { readonly type: "refused"; readonly reason: string };

/** Finds out by trying whether a driver can give cards to tasks: that a host has some does not say so. */
export interface CardHandover {
  readonly answer: HandoverAnswer;
  /** Says which healthy cards there are. Tries with them, in the background, if that has not been done. */
  offer(gpuIds: readonly string[]): void;
  /** Resolves with the answer once no trial is under way; never rejects. */
  tried(): Promise<HandoverAnswer>;
  /** Called when the answer is another; the returned function ends that. */
  onChange(listener: () => void): () => void;
}

/** The monitor of a host without GPUs. */
export const NO_GPUS: GpuMonitor = {
  source: "none",
  trouble: "this daemon does not look for GPUs",
  readings: () => [],
  setEnabled: () => undefined,
  onChange: () => () => undefined,
  [Symbol.asyncDispose]: () => Promise.resolve(),
};
