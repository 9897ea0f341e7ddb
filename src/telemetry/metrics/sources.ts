import type {
  DoorName,
  DriverCapabilities,
  ErrorCode,
  GpuReading,
  HostCapacity,
  HostUsage,
  IsolationClass,
  JobState,
  ObservedState,
  ReceiptLogState,
  Resources,
  SourceFigures,
} from "../../core/index.ts";

/** What of the executor's view is shown. */
export interface ExecutorFigures {
  readonly state: ObservedState;
  readonly driver: string;
  readonly capabilities: DriverCapabilities;
  readonly host: HostCapacity;
  readonly usage: HostUsage;
  readonly capacity: Resources;
  readonly reservedByDoor: Readonly<Record<DoorName, Resources>>;
  readonly running: number;
  readonly waiting: number;
  readonly jobs: JobFigures;
}

/** What the HTTP door had to do with its callers. */
export interface HttpFigures {
  /** Connections that are open, and those that were ended at once. */
  readonly open: number;
  readonly refused: number;
  /** Calls that were turned away before they were one. */
  readonly refusedCalls: ReadonlyMap<ErrorCode, number>;
}

/** The jobs of an executor in numbers. */
export interface JobFigures {
  /** Those that hold room, by what they are at; what is left out is none. */
  readonly byState: Readonly<Partial<Record<JobState, number>>>;
  /** Those that wait for room. */
  readonly waiting: number;
}

/** Time in which work stood still for want of one resource, since boot. */
export interface Pressure {
  readonly resource: "cpu" | "memory" | "io";
  /** `some`: at least one task waited; `full`: all did. */
  readonly stall: "some" | "full";
  readonly stalledSeconds: number;
}

export interface DiskSpace {
  readonly totalBytes: number;
  readonly availableBytes: number;
}

export const SANDBOX_STATES = [
  "starting",
  "hot",
  "retiring",
  "freezing",
  "frozen",
  "thawing",
  "stopping",
] as const;

export const QUEUE_STEPS = ["waiting", "staging", "starting", "running", "packing", "publishing"] as const;

/** What is read of the queue that jobs are taken from. */
export interface ShownQueue {
  view(): {
    /** Everything but `connected` is trouble. */
    readonly state: string;
    /** Those of the whole life of this daemon. */
    readonly figures: SourceFigures;
    readonly jobs: readonly { readonly step: (typeof QUEUE_STEPS)[number] }[];
  };
}

/** What is read when somebody asks for the metrics. Every function must be quick: it runs on the event loop. */
export interface MetricSources {
  readonly version: string;
  executor(): ExecutorFigures;
  sandboxes(): readonly {
    readonly tier: (typeof SANDBOX_STATES)[number];
    /** `undefined` before it is known. */
    readonly isolation: IsolationClass | undefined;
  }[];
  gpus(): readonly GpuReading[];
  /** `undefined` where it is not known. */
  disk(): DiskSpace | undefined;
  /** Empty where the kernel does not tell. */
  pressure(): readonly Pressure[];
  receipts(): ReceiptLogState;
  /** Sessions have an id; holds have none. */
  sessions(): readonly { readonly sessionId: string | undefined }[];
  http(): HttpFigures;
  /** `undefined`: no traces are sent. */
  traceExports(): { readonly ok: number; readonly failed: number } | undefined;
  /** Whether the engine answered when it was last asked. */
  isEngineUp(): boolean;
}
