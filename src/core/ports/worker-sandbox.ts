import type { Endpoint, ResolvedImage } from "./driver.ts";
import type { JobSandbox, JobSandboxSpec } from "./job-sandbox.ts";

/** A folder of the host that the operator lets every worker see, under the same or another name. */
export interface WorkerBind {
  readonly source: string;
  readonly target: string;
  readonly isReadOnly: boolean;
}

/** A program that runs functions for its door, or one of a user's own that is reached through it. */
export type WorkerPurpose = "function" | "sandbox";

/**
 * A long-lived program that its door talks to in a protocol of its own. It holds room as a job does, and has no work folder.
 * Where it listens is the driver's choice.
 */
export interface WorkerSpec extends Omit<JobSandboxSpec, "workDir" | "command" | "image"> {
  /** What it is called where what the driver makes has a name. */
  readonly purpose: WorkerPurpose;
  /** `undefined` where the driver runs programs of this host (`process`). */
  readonly image: ResolvedImage | undefined;
  /** The program and its arguments, given where it is to listen: `host:port`. An empty one is what the image would start. */
  command(listen: string): readonly string[];
  /** Of the operator's configuration only. */
  readonly binds: readonly WorkerBind[];
  /** For whoever looks from outside, where what the driver makes carries labels; ours go before them. */
  readonly labels: Readonly<Record<string, string>>;
}

/** One worker whose program has started, and may have ended. */
export interface WorkerSandbox extends JobSandbox {
  /** Where it is reached from this process, once it listens; nothing waits for that here. */
  readonly endpoint: Endpoint;
  /** Where this process reaches what else listens in it, by the port inside; `undefined` where only `endpoint` is to be reached. */
  endpointOf(port: number): Endpoint | undefined;
}

/** The part of a driver that runs workers. */
export interface WorkerDriver {
  /** Whether a worker is made of an image; if not, `task.image` names a program on this host. */
  readonly workersNeedImage: boolean;
  /**
   * Resolves once the program runs. On `process` it is a direct child of this process, in a group of its own, with the
   * host's network and file system: it is the operator's program, not a stranger's; and `environment` is all that it gets
   * beside `PATH`, `HOME` and `LANG`. After a rejection nothing is left behind. What an earlier life left of workers is among
   * `JobDriver.jobLeftovers`, without a mark: nobody takes it over.
   *
   * @throws {@link ExecutorError} as `JobDriver.startJob` does.
   */
  startWorker(spec: WorkerSpec, signal: AbortSignal): Promise<WorkerSandbox>;
}
