import type {
  DoorName,
  Endpoint,
  IsolationClass,
  LogChunk,
  LogTail,
  SandboxEnd,
  SandboxId,
  SandboxUsage,
  TaskSpec,
  WorkerBind,
  WorkerPurpose,
} from "../../core/index.ts";

/** A worker that is asked for. */
export interface WorkerRequest {
  /** What its door calls it; shown wherever a job's id is. */
  readonly workerId: string;
  readonly door: DoorName;
  readonly purpose: WorkerPurpose;
  /** Its image (or, where {@link Workers.needImage} is false, its program on this host), size and class; `sgx` is always false. */
  readonly task: TaskSpec;
  /** What it serves, for whoever looks at this host; `undefined` where its image says that. */
  readonly serves: string | undefined;
  /** The program and its arguments, given where it is to listen: `host:port`. An empty one is what the image would start. */
  command(listen: string): readonly string[];
  readonly environment: Readonly<Record<string, string>>;
  readonly binds: readonly WorkerBind[];
  readonly labels: Readonly<Record<string, string>>;
  readonly user: string | undefined;
  readonly pidsLimit: number | undefined;
}

/** A worker whose program runs, or has run. */
export interface RunningWorker {
  readonly sandboxId: SandboxId;
  readonly label: string;
  readonly gpuIds: readonly string[];
  /** The class reached. */
  readonly isolation: IsolationClass;
  /** The content that it runs. */
  readonly imageDigest: string;
  /** Where it is reached once it listens; nothing has waited for that. */
  readonly endpoint: Endpoint;
  /** As {@link WorkerSandbox.endpointOf}. */
  endpointOf(port: number): Endpoint | undefined;
  /** Resolves once, when no process of it runs any more, whoever ended it; never rejects. What is left of it goes by itself then. */
  readonly ended: Promise<SandboxEnd>;
  /**
   * Ends it at once, or asks it to end and has it ended after a grace, with everything that it has started, and removes it. Resolves when its room is free again, or when an
   * engine that would not remove it is asked on behind the caller's back; never rejects. Safe to call again.
   */
  kill(graceMs?: number): Promise<void>;
  /**
   * Whether it has nothing to do, as its door knows; it has something until this is called. A pause does not wait for one that
   * rests, and a drain ends it at once; it may go to work again as long as it lives.
   */
  rest(isResting: boolean): void;
  usage(signal: AbortSignal): Promise<SandboxUsage>;
  tailLog(maxBytes: number, signal: AbortSignal): Promise<LogTail>;
  /** The last `tailBytes` of output, then what comes, until it ends or the signal aborts. */
  followLog(tailBytes: number, signal: AbortSignal): AsyncIterable<LogChunk>;
}

/**
 * The third mode of the executor: programs that serve until they are ended, on the same books as calls and jobs. In lists,
 * figures and records each is a job of its door's.
 */
export interface Workers {
  /** Whether a worker is made of an image; if not, `task.image` names a program of this host. */
  readonly needImage: boolean;
  /** @throws {@link ExecutorError} why a worker like this can never run here. */
  check(task: TaskSpec, door: DoorName): void;
  /**
   * Waits for the end of a pause and for room in the one queue of all doors, without a deadline of its own, and starts it. After a
   * rejection nothing is left, and no room is held.
   *
   * @throws {@link ExecutorError} as `check`; as `SandboxDriver.resolve` (of images) and `WorkerDriver.startWorker` do;
   * DRAINING; the signal's reason.
   */
  start(request: WorkerRequest, signal: AbortSignal): Promise<RunningWorker>;
}
