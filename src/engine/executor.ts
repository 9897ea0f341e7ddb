import type {
  AnswerSink,
  AttemptDoor,
  CallRequest,
  ClassReport,
  DoorName,
  DriverCapabilities,
  DriverHealth,
  Exchange,
  ExecutorError,
  HostCapacity,
  HostUsage,
  IsolationClass,
  JobState,
  LogChunk,
  LogTail,
  NetworkReport,
  PullProgress,
  Resources,
  RunId,
  SandboxId,
  SandboxUsage,
  SessionId,
  Settings,
  StartPhases,
  TaskKey,
  TaskSpec,
} from "../core/index.ts";
import type { GpuView } from "./gpus/gpu-cards.ts";
import type { Jobs } from "./jobs/jobs.ts";

/** Where a call runs. */
export interface Placement {
  readonly sandboxId: SandboxId;
  readonly isolation: IsolationClass;
  readonly imageDigest: string;
  /** `cold`: this call waited for the sandbox to start; `thawed`: for it to wake; `warm`: for neither. */
  readonly start: "warm" | "thawed" | "cold";
  /** Milliseconds from the call to its slot. */
  readonly waitedMs: number;
  /** How the sandbox once started, whoever waited for it. */
  readonly phases: StartPhases;
  readonly warnings: readonly string[];
}

/**
 * Takes a call's story: progress any number of times, `onPlaced` for each try at a sandbox (the last one counts: another is only
 * tried while nothing has been sent), then an {@link AnswerSink}'s sequence.
 */
export interface CallSink extends AnswerSink {
  onPlaced(placement: Placement): void;
  onProgress?(progress: CallProgress): void;
  /** The session that this call has opened; before `onPlaced`. */
  onSession?(session: SessionView): void;
}

/** What a caller who waits for a slot may be told meanwhile. */
export type CallProgress =
  | { readonly type: "pulling"; readonly progress: PullProgress }
  | { readonly type: "starting" }
  | { readonly type: "waiting"; readonly reason: string };

/**
 * What a call has to do with sessions. `open`: the sandbox that it meets is pinned to a new session. `join`: it runs on the
 * sandbox of that session and on no other. `hold`: the sandbox that it meets is kept for the task's next callers.
 */
export type SessionWish =
  | { readonly type: "open" }
  | { readonly type: "join"; readonly sessionId: SessionId }
  | { readonly type: "hold" };

/** A claim to meet the very same server again. */
export interface SessionView {
  /** `undefined`: a hold, which is for every caller of the task. */
  readonly sessionId: SessionId | undefined;
  readonly sandboxId: SandboxId;
  readonly taskKey: TaskKey;
  readonly task: TaskSpec;
  /** Calls of it that wait or run now. */
  readonly calls: number;
  readonly ageMs: number;
  /** Until it ends if no call comes. */
  readonly expiresInMs: number;
}

/** What a door says of one call besides the task and the request. */
export interface CallOptions {
  readonly door: DoorName;
  /** What its receipt calls the way in. Default: as the door is called, and `v1` for `http`. */
  readonly recordedAs?: AttemptDoor;
  /** What the door calls this call to its caller. */
  readonly runId?: RunId;
  /** Shorter than the setting if given; milliseconds. */
  readonly queueTimeoutMs?: number;
  /** Shorter than the setting if given; milliseconds. */
  readonly runTimeoutMs?: number;
  /**
   * What `cancel` does to a call that runs, instead of what `Settings.onDisconnect` says. `close`: closes the connection to the
   * task's server and keeps the sandbox; for streams, whose servers listen for that. `retire`: gives the sandbox up as well,
   * since its code may go on.
   */
  readonly onCancel?: "close" | "retire";
  readonly session?: SessionWish;
}

export type SandboxTier = "starting" | "hot" | "retiring" | "freezing" | "frozen" | "thawing" | "stopping";

/** The end of what a sandbox printed, and which that is. */
export interface SandboxLog extends LogTail {
  readonly sandboxId: SandboxId;
  /** Whether it is gone: then this is the last of it. */
  readonly hasEnded: boolean;
}

/** One sandbox, as lists show it. */
export interface SandboxView {
  readonly sandboxId: SandboxId;
  readonly label: string;
  readonly taskKey: TaskKey;
  readonly task: TaskSpec;
  readonly tier: SandboxTier;
  readonly isolation: IsolationClass | undefined;
  readonly imageDigest: string | undefined;
  readonly slotsUsed: number;
  readonly slots: number;
  readonly calls: number;
  /** Sessions and holds that keep it. */
  readonly sessions: number;
  readonly ageMs: number;
  /** Since the end of its last call; `undefined` while a call runs or it starts. */
  readonly idleMs: number | undefined;
  readonly reserved: Resources;
  /** The cards that it holds, by UUID. */
  readonly gpuIds: readonly string[];
  readonly phases: StartPhases | undefined;
  readonly warnings: readonly string[];
}

/** A request that waits, and for what. */
export interface WaitingView {
  readonly taskKey: TaskKey;
  readonly task: TaskSpec;
  readonly callers: number;
  readonly waitedMs: number;
  /** A sentence: why it does not run yet. */
  readonly reason: string;
  /** Of jobs: which, the oldest first, at most {@link SHOWN_JOBS}. `undefined`: they are calls. */
  readonly jobIds: readonly string[] | undefined;
}

/** Of many jobs of one task that wait, so many are named. */
export const SHOWN_JOBS = 100;

/** What would become of one more call of a task if it came now. */
export type Verdict =
  /** There is a free slot. */
  | { readonly type: "warm"; readonly sandboxId: SandboxId }
  /** There is room, after these sandboxes have been frozen or evicted: for a new sandbox, or to wake the one that is named. */
  | {
      readonly type: "room";
      readonly start: "cold" | "thawed";
      readonly sandboxId: SandboxId | undefined;
      readonly freeze: readonly SandboxId[];
      readonly evict: readonly SandboxId[];
      /** The cards that it would get. */
      readonly gpuIds: readonly string[];
    }
  | {
      readonly type: "wait";
      /** A sentence: why it would not run yet. */
      readonly reason: string;
      /** Callers of the same task that wait already. */
      readonly callersAhead: number;
      /** Wishes for room, of all tasks, that wait already. */
      readonly demandsAhead: number;
      /** Sandboxes that hold room and are at work. */
      readonly busy: readonly SandboxId[];
      /** An estimate from how long calls usually take; `undefined` when there is nothing to tell it from. */
      readonly expectedMs: number | undefined;
    }
  /** Never, or not until something else changes: the error says which, and why. */
  | { readonly type: "refused"; readonly error: ExecutorError };

/** `pausing`: no call is taken any more, and some still run. */
export type ExecutorState = "running" | "pausing" | "paused" | "draining";

/** The executor at a glance. */
export interface ExecutorView {
  readonly state: ExecutorState;
  readonly driver: string;
  readonly capabilities: DriverCapabilities;
  /** Every class that is built in or configured, usable or not; the first is what `default` means. */
  readonly classes: readonly ClassReport[];
  /** What tasks may be let reach here, and why not more. */
  readonly networks: NetworkReport;
  readonly host: HostCapacity;
  readonly usage: HostUsage;
  /** What tasks may hold in all, and what they hold now (frozen sandboxes hold memory and cards only). */
  readonly capacity: Resources;
  readonly reserved: Resources;
  /** The same by the door whose calls first needed it. */
  readonly reservedByDoor: Readonly<Record<DoorName, Resources>>;
  /** The models of the cards, each once; empty if there are none. */
  readonly gpuModel: string;
  /** The cards that tasks may be given, in the host's order. */
  readonly gpus: readonly GpuView[];
  /** Why there are none, or why they cannot be read; `undefined` when all is well or GPUs are off. */
  readonly gpuTrouble: string | undefined;
  /** Calls. */
  readonly running: number;
  readonly waiting: number;
  /** Those of calls; the jobs' own are not among them. */
  readonly sandboxes: number;
  readonly jobs: JobCounts;
}

/** The jobs of an executor in numbers. */
export interface JobCounts {
  /** Those that hold room, by what they are at; what is left out is none. */
  readonly byState: Readonly<Partial<Record<JobState, number>>>;
  /** Those whose command runs, or whose files are collected. */
  readonly running: number;
  /** Those that wait for room, or for the end of a pause. */
  readonly waiting: number;
}

/** What a prefetch came to. */
export interface Prefetched {
  readonly digest: string;
  readonly wasPulled: boolean;
  /** Warm sandboxes of an older content that take no more calls. */
  readonly retired: number;
}

/** How an executor ends. */
export interface DrainOptions {
  /** How long running calls may take to end by themselves. */
  readonly deadlineMs: number;
  /** Leaves warm sandboxes to the next life, if the driver can adopt. */
  readonly keepWarm: boolean;
  /** Nothing gets any grace, and what an earlier drain gave is over. */
  readonly isForced?: boolean;
}

/** The daemon's heart as its doors see it. Every method may be called at any time. */
export interface Executor extends AsyncDisposable {
  /** Commands that run to their end, and programs that serve until they are ended, on the same books as the calls. */
  readonly jobs: Jobs;
  /**
   * Runs one call: admits it, places it in a warm sandbox or a new one, sends it, and settles. Never throws: refusals arrive
   * at `sink.onError`, always after this function has returned. At most once: nothing is sent twice after the first byte.
   */
  call(task: TaskSpec, request: CallRequest, options: CallOptions, sink: CallSink): Exchange;
  /** Says what `call` would come to now, and why; nothing is changed by asking. Rejects only with the signal's reason. */
  explain(task: TaskSpec, door: DoorName, signal: AbortSignal): Promise<Verdict>;
  /** As `view` tells it, which asks all parts for what they know. */
  readonly state: ExecutorView["state"];
  view(): ExecutorView;
  health(signal: AbortSignal): Promise<DriverHealth>;
  /** Tests every class anew, or one, and resolves with what is known then. */
  probe(signal: AbortSignal, isolation?: IsolationClass): Promise<readonly ClassReport[]>;
  sandboxes(): readonly SandboxView[];
  waiting(): readonly WaitingView[];
  usage(sandboxId: SandboxId, signal: AbortSignal): Promise<SandboxUsage>;
  /** Sessions and holds, the oldest first. */
  sessions(): readonly SessionView[];
  /** @throws {@link ExecutorError} SESSION_NOT_FOUND, SESSION_ENDED. */
  session(sessionId: SessionId): SessionView;
  /** Lets its sandbox go; calls of it that wait or run go on. @throws {@link ExecutorError} SESSION_NOT_FOUND, SESSION_ENDED. */
  endSession(sessionId: SessionId): void;
  /** @throws {@link ExecutorError} SANDBOX_NOT_FOUND; SANDBOX_BUSY unless `isForced`, which ends its calls. */
  evict(sandboxId: SandboxId, options: { readonly isForced: boolean }): Promise<void>;
  /** Fetches an image, or what its tag now names; sandboxes of the older content take no further calls. */
  prefetch(
    image: string,
    options: { onProgress?(progress: PullProgress): void },
    signal: AbortSignal,
  ): Promise<Prefetched>;
  /**
   * What it printed last; also of one that died or ran out of time, and of a job that has ended, for a while after it is gone.
   *
   * @param which its id or its job's; else the beginning of its id, its outside name or its image: then the newest living one is
   * meant, or if there is none the newest that has ended.
   * @throws {@link ExecutorError} SANDBOX_NOT_FOUND.
   */
  tailLog(which: string, maxBytes: number, signal: AbortSignal): Promise<SandboxLog>;
  /**
   * As {@link tailLog}, then what comes, until it ends: of one that has ended nothing comes.
   *
   * @throws {@link ExecutorError} SANDBOX_NOT_FOUND, at the first step.
   */
  followLog(which: string, tailBytes: number, signal: AbortSignal): AsyncIterable<LogChunk>;
  /** Takes no more calls, refuses the waiting ones, ends warm sandboxes as they fall idle. Resolves when quiet, or after `Settings.pauseWaitMs`. */
  pause(): Promise<{ readonly running: number }>;
  unpause(): void;
  settings(): Settings;
  /** Applies a whole new set of settings at once; the caller has checked it. Idle sandboxes go until the new limits hold. */
  configure(settings: Settings): void;
  /** Takes no more calls, waits for running ones, then ends every sandbox. Resolves with how many calls were cut. */
  drain(options: DrainOptions): Promise<{ readonly cut: number }>;
}
