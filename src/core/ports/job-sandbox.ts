import type { SandboxId } from "../ids.ts";
import type { IsolationClass } from "../task/isolation.ts";
import type { TaskSpec } from "../task/task-spec.ts";
import type { LogChunk, LogTail, ResolvedImage, SandboxEnd, SandboxUsage } from "./driver.ts";

/** The folder that a job and its daemon share. */
export interface WorkDir {
  /** As this process sees it; absolute. */
  readonly localPath: string;
  /** As the engine's host sees it; absolute. The same unless the daemon is in a container of its own. */
  readonly hostPath: string;
  /** Where the job sees it; also its current directory. */
  readonly target: string;
}

/** What a next life must know of a job whose sandbox outlived this one. It is written on the sandbox itself. */
export interface JobMark {
  readonly jobId: string;
  /** Counts from 1: the try that this sandbox is. */
  readonly attempt: number;
}

/** Everything a driver needs to run one command to its end. */
export interface JobSandboxSpec {
  readonly sandboxId: SandboxId;
  readonly mark: JobMark;
  readonly task: TaskSpec;
  readonly image: ResolvedImage;
  /** The cards that it gets, by UUID; exactly those. */
  readonly gpuIds: readonly string[];
  /** The program and its arguments; no shell reads them. The image's entrypoint stays in front of it. */
  readonly command: readonly string[];
  /** Beside what the image sets. Nothing of the daemon's own environment is passed on. */
  readonly environment: Readonly<Record<string, string>>;
  readonly workDir: WorkDir;
  /** The user that it runs as, as the engine writes users; `undefined` is the image's own. */
  readonly user: string | undefined;
  /** Processes and threads that it may have; `undefined` is the driver's default. */
  readonly pidsLimit: number | undefined;
}

/**
 * One job whose command has started, and may have ended. Every method that takes a signal rejects with that signal's reason
 * once it aborts.
 */
export interface JobSandbox {
  readonly id: SandboxId;
  readonly mark: JobMark;
  readonly task: TaskSpec;
  readonly imageDigest: string;
  /** What it is called outside. */
  readonly label: string;
  /** The class really reached. */
  readonly isolation: IsolationClass;
  readonly gpuIds: readonly string[];
  /** Wall clock time of its start, also of one that was started by an earlier life. */
  readonly startedAtMs: number;
  /** Resolves once, when no process of it runs any more, whoever ended it; never rejects. */
  readonly ended: Promise<SandboxEnd>;
  /**
   * Asks the whole process tree to end, waits `graceMs`, kills. Resolves when none of it runs. Its files, its output and its
   * figures stay until `remove`. Safe to call again and on one that has ended.
   */
  end(graceMs: number): Promise<void>;
  /** Removes everything that belongs to it except its work folder, running or not. Rejects only when the engine would not. */
  remove(): Promise<void>;
  /** What it has used; after its end the last known figures. */
  usage(signal: AbortSignal): Promise<SandboxUsage>;
  tailLog(maxBytes: number, signal: AbortSignal): Promise<LogTail>;
  /** The last `tailBytes` of output, then what comes, until it ends or the signal aborts. */
  followLog(tailBytes: number, signal: AbortSignal): AsyncIterable<LogChunk>;
}

/** A job's sandbox that an earlier life of this daemon left behind: it may run, or have ended meanwhile. */
export interface JobLeftover {
  readonly sandboxId: SandboxId;
  /** `undefined` when its labels do not say in our present words what it is: then it can only be reaped. */
  readonly mark: JobMark | undefined;
  readonly task: TaskSpec | undefined;
  readonly imageDigest: string;
  readonly gpuIds: readonly string[];
  /** Takes it over, also if it has ended: then its end is known at once. */
  adopt(signal: AbortSignal): Promise<JobSandbox>;
  /** Ends and removes it and everything that belongs to it except its work folder. */
  reap(signal: AbortSignal): Promise<void>;
}

/** The job half of a driver: commands that run to their end. */
export interface JobDriver {
  /**
   * Resolves once the command runs (or has run: a short one may have ended). After a rejection nothing is left behind. The
   * work folder belongs to the caller and is left as it is.
   *
   * @throws {@link ExecutorError} SANDBOX_START_FAILED, IMAGE_UNUSABLE, ISOLATION_UNAVAILABLE, GPU_UNAVAILABLE,
   * NETWORK_UNAVAILABLE, ENGINE_UNAVAILABLE, ENGINE_FAILED, DISK_FULL.
   */
  startJob(spec: JobSandboxSpec, signal: AbortSignal): Promise<JobSandbox>;
  /** What earlier lives of this owner left of jobs; `SandboxDriver.leftovers` does not list or touch these. */
  jobLeftovers(signal: AbortSignal): Promise<readonly JobLeftover[]>;
  /**
   * Proves that a folder is the same under its two names, by a marker file seen from inside a short-lived sandbox (or, where
   * both names are this process's, by itself).
   *
   * @throws {@link ExecutorError} CONFIG_INVALID with the reason.
   */
  checkSharedDir(
    dir: Pick<WorkDir, "localPath" | "hostPath">,
    image: ResolvedImage,
    signal: AbortSignal,
  ): Promise<void>;
}
