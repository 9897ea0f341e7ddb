import type {
  DoorName,
  IsolationClass,
  JobMark,
  JobState,
  LogChunk,
  LogTail,
  Resources,
  SandboxId,
  SandboxUsage,
  TaskSpec,
  WorkDir,
} from "../../core/index.ts";
import type { Workers } from "../workers/workers.ts";

/** A job that asks for room. */
export interface JobRequest {
  readonly mark: JobMark;
  readonly door: DoorName;
  /** Its image, size and class; `sgx` is always false. */
  readonly task: TaskSpec;
  /** As {@link JobView.serves}. */
  readonly serves?: string | undefined;
}

/** What is run once there is room and the work folder is ready. */
export interface JobOrder {
  readonly command: readonly string[];
  /** It gets `HEARTH_JOB_ID` and `HEARTH_ATTEMPT` beside. */
  readonly environment: Readonly<Record<string, string>>;
  readonly workDir: WorkDir;
  readonly user: string | undefined;
  readonly pidsLimit: number | undefined;
  /** The longest that the command may run, from its start; `undefined` is without end. */
  readonly deadlineMs: number | undefined;
  /** Bytes that came in with it, for its record. */
  readonly inputBytes: number;
}

/** Why a job is ended before its time. */
export type JobStop = "killed" | "disk" | "time" | "drain" | "lease";

/** How a job's command ended. The first four are the job's own doing. */
export type JobEnding = {
  readonly usage: SandboxUsage | undefined;
  readonly ranMs: number;
} & (
  | { readonly cause: "exit"; readonly exitCode: number }
  | { readonly cause: "signal"; readonly signal: string }
  | { readonly cause: "memory"; readonly limitBytes: number }
  | { readonly cause: "time"; readonly limitMs: number }
  | { readonly cause: "stopped"; readonly by: JobStop }
  /** Its sandbox was removed, or the engine lost it: nothing is known of the command's end. */
  | { readonly cause: "infrastructure"; readonly reason: string }
);

/** A job whose command has started. */
export interface RunningJob {
  readonly sandboxId: SandboxId;
  readonly mark: JobMark;
  readonly task: TaskSpec;
  readonly label: string;
  readonly isolation: IsolationClass;
  readonly imageDigest: string;
  readonly gpuIds: readonly string[];
  readonly startedAtMs: number;
  /** Resolves once; never rejects. Its deadline is kept here, also for one that was taken over. */
  readonly ending: Promise<JobEnding>;
  /** Called before it is asked to end, with the first cause: what it brings about is waited for, for a moment. */
  onStop?: (by: JobStop) => Promise<void>;
  /** Ends it: asked, then killed after `graceMs`. The first cause counts; on one that has ended it changes nothing. */
  stop(by: JobStop, graceMs: number): void;
  usage(signal: AbortSignal): Promise<SandboxUsage>;
  tailLog(maxBytes: number, signal: AbortSignal): Promise<LogTail>;
  followLog(tailBytes: number, signal: AbortSignal): AsyncIterable<LogChunk>;
  /**
   * Removes its sandbox, gives its reservation back and leaves its record. To be called exactly once for each job that has
   * started, after `ending`; an engine that will not remove it is tried again behind the caller's back, and the
   * reservation comes back then.
   *
   * @param outputBytes what its files came to, for its record.
   */
  settle(outputBytes: number): Promise<void>;
}

/** Room that is booked for one job. */
export interface JobRoom {
  readonly sandboxId: SandboxId;
  readonly gpuIds: readonly string[];
  /**
   * Pins the image and starts the command. After a rejection the room is given back. To be called once.
   *
   * @throws {@link ExecutorError} as `SandboxDriver.resolve` and `JobDriver.startJob` do; PAUSED or DRAINING when that came
   * first, and the room is gone by then; what a change of settings refuses; the signal's reason.
   */
  start(order: JobOrder, signal: AbortSignal): Promise<RunningJob>;
  /** Gives it back unused; no change once `start` was called. */
  release(): void;
}

export interface Adopting {
  /** From its own start on; `undefined` is without end. */
  readonly deadlineMs: number | undefined;
  /** Why the earlier life had asked it to end, if it had: then that is why it ended, or ends. */
  readonly stoppedBy?: JobStop | undefined;
}

/** A job that an earlier life of this daemon started, booked here and not yet claimed by its door. */
export interface LeftoverJob {
  readonly mark: JobMark;
  readonly sandboxId: SandboxId;
  /**
   * Takes it over.
   *
   * @throws {@link ExecutorError} SANDBOX_LOST: it is gone, or somebody has it already, and what is left of it is cleared away.
   * After any other error it is still on the list, to be tried again or reaped: an engine that was away may be back.
   */
  adopt(door: DoorName, how: Adopting, signal: AbortSignal): Promise<RunningJob>;
  /**
   * Ends and removes it, and gives its reservation back; an engine that will not is asked until it does.
   *
   * @throws {@link ExecutorError} SANDBOX_LOST when it was taken over before.
   */
  reap(): Promise<void>;
}

/** One job as lists show it. */
export interface JobView {
  readonly mark: JobMark;
  readonly door: DoorName;
  readonly sandboxId: SandboxId;
  readonly label: string | undefined;
  readonly task: TaskSpec;
  /** What a worker serves, as its door calls it; `undefined` of jobs, and where it is known by its image. */
  readonly serves: string | undefined;
  readonly state: Exclude<JobState, "gone">;
  readonly isolation: IsolationClass | undefined;
  readonly imageDigest: string | undefined;
  readonly gpuIds: readonly string[];
  /** What it holds of the host. */
  readonly reserved: Resources;
  /** Since it got its room. */
  readonly ageMs: number;
  /** How long its command has run, or ran; `undefined` before. */
  readonly ranMs: number | undefined;
}

/** The second mode of the executor: commands that run to their end, on the same books as the calls. */
export interface Jobs {
  /** Programs that serve until they are ended; each is among `list`. */
  readonly workers: Workers;
  /** @throws {@link ExecutorError} why a job like this can never run here, as a call's refusal would say it. */
  check(task: TaskSpec): void;
  /** Whether it would get room at once, idle warm sandboxes given up if need be. Changes nothing. */
  hasRoomFor(task: TaskSpec, door: DoorName): boolean;
  /**
   * Waits for room in the one queue of all doors, without a deadline of its own. Refused while the executor is paused or
   * draining.
   *
   * @throws {@link ExecutorError} as `check`; PAUSED, DRAINING; the signal's reason.
   */
  reserve(request: JobRequest, signal: AbortSignal): Promise<JobRoom>;
  /** What is left of earlier lives; nobody ends them until a door says so. */
  leftovers(): readonly LeftoverJob[];
  list(): readonly JobView[];
}
