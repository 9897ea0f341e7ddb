/** What the host (or the container the daemon runs in) has in all. */
export interface HostCapacity {
  readonly cpuMillis: number;
  readonly memoryBytes: number;
}

/** How busy the host is now, tasks and everything else together. */
export interface HostUsage {
  /** Share of all CPU in use since the last sample, 0 to 100. */
  readonly cpuPercent: number;
  /** Share of all memory in use, 0 to 100. */
  readonly memoryPercent: number;
  readonly memoryAvailableBytes: number;
}

/** Reads the host. No call blocks for more than a few microseconds, and none throws once it is open. */
export interface HostMonitor {
  readonly capacity: HostCapacity;
  usage(): HostUsage;
  /** The same of its memory alone, for who asks often. */
  memoryAvailableBytes(): number;
}

/** The file system that work folders of jobs lie on, and what those have booked of it. No call waits. */
export interface HostDisk {
  /** All of it, as it was when the daemon started. */
  readonly totalBytes: number;
  /** What jobs may hold in all. */
  readonly capacityBytes: number;
  /** What anybody may still write there, as it was a few seconds ago. */
  availableBytes(): number;
  /** What jobs hold now, each as much as it may write. */
  reservedBytes(): number;
  /** One job more. @returns gives it back. */
  book(bytes: number): () => void;
}
