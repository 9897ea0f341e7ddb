import type {
  ExecuterType,
  ImagesFile,
  MethodTable,
  Registration,
} from "../../contract/executer-tracker/index.ts";
import type {
  ArchiveLimits,
  Archiver,
  ArtifactStore,
  Clock,
  DiskLimits,
  FleetBoard,
  HostDisk,
  JobSource,
  Log,
  NetworkPolicy,
} from "../../core/index.ts";
import type { Executor } from "../../engine/executor.ts";

/** What a job gets whose type does not say. */
export interface JobDefaults {
  readonly cpuMillis: number;
  readonly memoryBytes: number;
  /** What `gpu: true` stands for: every card that tasks may be given. */
  readonly gpuCount: number;
  readonly pidsLimit: number | undefined;
  readonly network: NetworkPolicy | "default";
  /** The longest that a job may run, whatever its entry says. */
  readonly timeLimitMs: number;
}

/** What becomes of a job that still runs when the daemon has to end. */
export type OnStop = "hand_back" | "terminate";

export interface StreamSettings {
  /** Jobs that run at once. */
  readonly concurrency: number;
  /** Jobs that are claimed beyond those, so that the next one starts without a round trip. */
  readonly claimAhead: number;
  readonly leaseMs: number;
  /** An entry that this many hosts died with is put aside. */
  readonly maxDeaths: number;
  /** A job whose host failed it this many times fails. */
  readonly maxAttempts: number;
  /** From asking a job to end to killing it. */
  readonly killGraceMs: number;
  readonly onStop: OnStop;
  readonly inputBytes: number;
  readonly inputLimits: ArchiveLimits;
  readonly outputLimits: ArchiveLimits;
  /** Of each of what a job prints and what it complains, how much is kept. */
  readonly logBytes: number;
  /** How long the upload of a result is tried again. */
  readonly uploadPatienceMs: number;
  /** How much of the file system of work folders jobs may fill. */
  readonly disk: DiskLimits;
  /** Where a job sees its folder. */
  readonly workingDir: string;
  /** What this host is called in events and lists. */
  readonly hostName: string;
  /** What this host says of itself to the others, beside its figures. */
  readonly labels: Readonly<Record<string, string>>;
  readonly fleetMs: number;
}

/** A folder that jobs share with the daemon, under both of its names. */
export interface SharedDir {
  readonly localPath: string;
  readonly hostPath: string;
}

/** How the queue is reached, before anybody has told this host what it is called there. */
export interface QueueLink {
  /**
   * Resolves once it answers; tries again by itself until then. Rejects with the signal's reason.
   *
   * @param onAway told why it does not answer, each time that this is something else.
   */
  ready(signal: AbortSignal, onAway: (reason: string) => void): Promise<void>;
  /** Opens it under the names of a registration. The caller disposes it. */
  open(registration: Registration, signal: AbortSignal): Promise<JobSource>;
}

/** Everything the stream door is given. */
export interface StreamDoorOptions {
  readonly executor: Executor;
  readonly types: ImagesFile;
  readonly methods: MethodTable;
  /** Read anew for each job, since what the host gives may change. */
  defaults(): JobDefaults;
  readonly settings: StreamSettings;
  readonly sharedDir: SharedDir;
  /** Where it is told what jobs book of the disk. */
  readonly hostDisk?: HostDisk | undefined;
  readonly store: ArtifactStore;
  readonly archiver: Archiver;
  readonly queue: QueueLink;
  readonly board: FleetBoard | undefined;
  /** Says what this host is called in the queue; tries again by itself. Rejects with the signal's reason. */
  register(signal: AbortSignal): Promise<Registration>;
  /** Its end was told and it holds nothing: the next life is another executer. */
  forgetRegistration(): Promise<void>;
  /** Whether the machine is being taken away; asked when the daemon ends, and given up on after a moment. */
  isPreempted(signal: AbortSignal): Promise<boolean>;
  /** The door has failed and takes no more jobs: the daemon is to end in order. Closing the door throws what failed. */
  onFailure(): void;
  /** This daemon over all of its lives. */
  readonly ownerId: string;
  readonly version: string;
  readonly clock: Clock;
  readonly log: Log;
}

export type { ExecuterType };
