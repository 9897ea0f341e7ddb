import { mkdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll } from "vitest";
import type {
  ExecutorError,
  JobSandbox,
  JobSandboxSpec,
  ResolvedImage,
  SandboxDriver,
  TaskSpec,
} from "../../../src/core/index.ts";
import { asId } from "../../../src/core/index.ts";
import { freshName } from "../../support/fresh-name.ts";
import { poll } from "../../support/poll.ts";
import type { JobHarness, SandboxDriverHarness } from "./harness.ts";
import { freshId, neverAborted, SMALL } from "./scene.ts";

export interface JobOptions {
  readonly task?: Partial<TaskSpec>;
  readonly environment?: Readonly<Record<string, string>>;
  readonly pidsLimit?: number;
  readonly user?: string;
  readonly target?: string;
  readonly attempt?: number;
  readonly gpuIds?: readonly string[];
  readonly signal?: AbortSignal;
  /** What the work folder holds before the start, by relative path. */
  readonly files?: Readonly<Record<string, string>>;
  /** Default: the scene's own. */
  readonly driver?: SandboxDriver;
}

/** A job with its folder as this process sees it. */
export interface StartedJob {
  readonly job: JobSandbox;
  readonly folder: string;
}

/** The suite's hands for jobs: every job it started is removed after each test, and every work folder. */
export interface JobScene {
  readonly harness: SandboxDriverHarness;
  readonly jobs: JobHarness;
  readonly driver: SandboxDriver;
  /** Starts a shell script. */
  start(script: string, options?: JobOptions): Promise<StartedJob>;
  startCommand(command: readonly string[], options?: JobOptions): Promise<StartedJob>;
  /** Starts and hands back the error that this must end with. */
  startFails(command: readonly string[], options?: JobOptions): Promise<ExecutorError>;
  /** Leaves a job to somebody else. */
  release(job: JobSandbox): void;
  /** Has a job that somebody else started removed after the test. */
  keep(job: JobSandbox): void;
  output(job: JobSandbox): Promise<string>;
  /** Resolves once nothing of this owner is left outside of the driver; rejects with what there still is. */
  untilNothingRemains(): Promise<void>;
}

/** Registers the hooks that open and close the harness; the returned scene is usable inside tests only. */
export function useJobScene(openHarness: () => Promise<SandboxDriverHarness>): JobScene {
  let opened: SandboxDriverHarness | undefined;
  const started: JobSandbox[] = [];
  const folders: string[] = [];
  const harness = (): SandboxDriverHarness => {
    if (opened === undefined) throw new Error("the harness is open inside tests only");
    return opened;
  };

  beforeAll(async () => {
    opened = await openHarness();
  });
  afterEach(async () => {
    await Promise.all(started.splice(0).map((job) => job.remove()));
    for (const folder of folders.splice(0)) await rm(folder, { recursive: true, force: true });
  });
  afterAll(async () => {
    await opened?.[Symbol.asyncDispose]();
  });

  async function makeFolder(files: Readonly<Record<string, string>>): Promise<string> {
    const name = freshName("job");
    const folder = join(harness().jobs.shared.localPath, name);
    await mkdir(folder);
    folders.push(folder);
    for (const [path, text] of Object.entries(files)) {
      await mkdir(join(folder, path, ".."), { recursive: true });
      await writeFile(join(folder, path), text);
    }
    return name;
  }

  async function startCommand(command: readonly string[], options: JobOptions = {}): Promise<StartedJob> {
    const { jobs, driver: own } = harness();
    const driver = options.driver ?? own;
    const image = await driver.resolve(jobs.image, { refresh: "missing" }, neverAborted());
    const name = await makeFolder(options.files ?? {});
    const spec = jobSpec(jobs, image, name, command, options);
    const job = await driver.startJob(spec, options.signal ?? neverAborted());
    started.push(job);
    return { job, folder: spec.workDir.localPath };
  }

  return {
    get harness() {
      return harness();
    },
    get jobs() {
      return harness().jobs;
    },
    get driver() {
      return harness().driver;
    },
    start: (script, options) => startCommand(["sh", "-c", script], options),
    startCommand,
    async startFails(command, options) {
      const outcome = await startCommand(command, options).then(
        ({ job }) => `it started as ${job.label}`,
        (error: unknown) => error as ExecutorError,
      );
      if (typeof outcome === "string") throw new Error(outcome);
      return outcome;
    },
    release(job) {
      const index = started.indexOf(job);
      if (index >= 0) started.splice(index, 1);
    },
    keep: (job) => started.push(job),
    output: async (job) => (await job.tailLog(65_536, neverAborted())).text,
    async untilNothingRemains() {
      await poll("nothing of this owner remains", async () => {
        const left = await harness().remains();
        return left.length === 0 ? true : `still there: ${left.join(", ")}`;
      });
    },
  };
}

/** A spec with a fresh sandbox id, for a folder of this name in the shared one. */
export function jobSpec(
  { image: asked, shared }: JobHarness,
  image: ResolvedImage,
  folder: string,
  command: readonly string[],
  options: JobOptions = {},
): JobSandboxSpec {
  const { environment = {}, target = "/working_dir", attempt = 1, gpuIds = [], task } = options;
  return {
    sandboxId: asId<"sandbox">(freshId()),
    mark: { jobId: folder, attempt },
    task: {
      image: asked,
      isolation: "default",
      resources: SMALL,
      sgx: false,
      network: "default",
      ...task,
    },
    image,
    gpuIds,
    command,
    environment,
    workDir: {
      localPath: join(shared.localPath, folder),
      hostPath: join(shared.hostPath, folder),
      target,
    },
    user: options.user,
    pidsLimit: options.pidsLimit,
  };
}
