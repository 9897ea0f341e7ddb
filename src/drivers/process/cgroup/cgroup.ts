/** What one sandbox may use at most. */
export interface CgroupLimits {
  readonly cpuMillis: number;
  readonly memoryBytes: number;
  readonly processes: number;
}

export type LimitName = "cpu" | "memory" | "pids";

export interface CgroupUsage {
  readonly cpuMs: number;
  readonly memoryBytes: number;
  readonly memoryPeakBytes: number | undefined;
}

/** The kernel's own group of one sandbox's processes, over all hierarchies. Every method is one pass and never waits. */
export interface Cgroup {
  readonly name: string;
  /** Files into which a process writes its id to join, before it becomes the task. */
  readonly joinFiles: readonly string[];
  processes(): readonly number[];
  /** Whether no code of it runs. */
  isFrozen(): boolean;
  /** Asks for the one or the other; `isFrozen` tells when it is so. Throws where `canFreeze` is false. */
  setFrozen(isFrozen: boolean): void;
  /** Kills every process that is in it now. */
  kill(): void;
  /** How often the kernel killed something in it for want of memory. */
  memoryKills(): number;
  usage(): CgroupUsage | undefined;
  /** What it came to, once nothing runs in it: no memory any more, so that the kernel need not add up what kinds of it there are. */
  finalUsage(): CgroupUsage | undefined;
  /** Whether it is gone; `false` while the kernel calls it busy, which it may for a while after the last process. */
  remove(): boolean;
  /**
   * The same by somebody else, so that this thread need not wait for the kernel's own lock on all groups, which others hold for
   * milliseconds when many processes come and go. What that one cannot do is tried here.
   *
   * @param removeDirectories removes all, or rejects.
   */
  removeBy(removeDirectories: (directories: readonly string[]) => Promise<void>): Promise<boolean>;
}

/** One limit: what is written where, in this order until it succeeds. */
export interface CgroupSetting {
  readonly tries: readonly [CgroupWrite, ...CgroupWrite[]];
  /** Whether it is an error that none of them does. */
  readonly isNeeded: boolean;
}

export interface CgroupWrite {
  readonly file: string;
  readonly text: string;
}

/** What has to be done, in this order, before a group can be joined: here, or by whoever starts what joins it. */
export interface CgroupPlan {
  readonly cgroup: Cgroup;
  readonly directories: readonly string[];
  readonly settings: readonly CgroupSetting[];
}

/** Where one owner's cgroups are made. */
export interface CgroupRoot {
  readonly version: "v1" | "v2";
  /** Limits that cannot be set here, because their controller is not there or not ours. */
  readonly missing: readonly LimitName[];
  readonly canFreeze: boolean;
  /** @param freezes whether it will be asked to freeze. One that will not is in one hierarchy less, where there are several. */
  plan(name: string, limits: CgroupLimits, freezes?: boolean): CgroupPlan;
  /** Carries such a plan out. Throws what the kernel says; nothing is left then. */
  create(name: string, limits: CgroupLimits, freezes?: boolean): Cgroup;
  /** One that exists already, or `undefined`. */
  open(name: string): Cgroup | undefined;
  names(): readonly string[];
  /** Removes the owner's own directory if it holds no sandbox any more. */
  close(): void;
}

/** CPU is handed out in periods of this many microseconds. */
export const CPU_PERIOD_US = 100_000;

/** Microseconds of CPU per period; the kernel refuses less than a millisecond. */
export function cpuQuotaUs(cpuMillis: number): number {
  return Math.max(1000, Math.round((cpuMillis * CPU_PERIOD_US) / 1000));
}

/** Kills each process; one that has ended meanwhile needs nothing. */
export function killAll(processes: readonly number[], signal: NodeJS.Signals): void {
  for (const pid of processes) {
    try {
      process.kill(pid, signal);
    } catch {
      // ESRCH: it has ended. EPERM cannot be cured here; the group then stays busy and `remove` says so.
    }
  }
}
