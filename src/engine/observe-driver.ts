import type {
  Clock,
  EngineVerb,
  ErrorCode,
  JobLeftover,
  JobSandbox,
  Leftover,
  LogChunk,
  LogTail,
  Observer,
  Sandbox,
  SandboxDriver,
  SandboxUsage,
  WorkerSandbox,
} from "../core/index.ts";
import { ExecutorError } from "../core/index.ts";

type Tell = <T>(
  verb: EngineVerb,
  work: () => Promise<T>,
  codeOf?: (result: T) => ErrorCode | undefined,
) => Promise<T>;

/** The same driver; everything that it and its sandboxes are asked for is told of, with its time and its failure. */
export function observeDriver(driver: SandboxDriver, observer: Observer, clock: Clock): SandboxDriver {
  const tell = teller(observer, clock);
  return {
    name: driver.name,
    get capabilities() {
      return driver.capabilities;
    },
    resolve: (...asked) => tell("resolve", () => driver.resolve(...asked)),
    checkImage: (...asked) => driver.checkImage(...asked),
    start: async (...asked) => observedSandbox(await tell("start", () => driver.start(...asked)), tell),
    leftovers: async (...asked) => {
      const leftovers = await tell("leftovers", () => driver.leftovers(...asked));
      return leftovers.map((leftover) => observedLeftover(leftover, tell));
    },
    health: (...asked) =>
      tell(
        "health",
        () => driver.health(...asked),
        (health) => (health.isHealthy ? undefined : "ENGINE_UNAVAILABLE"),
      ),
    classes: () => driver.classes(),
    probe: (...asked) => tell("probe", () => driver.probe(...asked)),
    configure: (settings) => driver.configure(settings),
    networks: () => driver.networks(),
    isTaskAddress: (peer) => driver.isTaskAddress(peer),
    startJob: async (...asked) => observedJob(await tell("start", () => driver.startJob(...asked)), tell),
    get workersNeedImage() {
      return driver.workersNeedImage;
    },
    startWorker: async (...asked) =>
      observedWorker(await tell("start", () => driver.startWorker(...asked)), tell),
    jobLeftovers: async (...asked) => {
      const leftovers = await tell("leftovers", () => driver.jobLeftovers(...asked));
      return leftovers.map((leftover) => observedJobLeftover(leftover, tell));
    },
    checkSharedDir: (...asked) => tell("probe", () => driver.checkSharedDir(...asked)),
    [Symbol.asyncDispose]: () => driver[Symbol.asyncDispose](),
  };
}

function teller(observer: Observer, clock: Clock): Tell {
  return async (verb, work, codeOf) => {
    const beganAtMs = clock.nowMs();
    try {
      const result = await work();
      observer.engineCalled(verb, clock.nowMs() - beganAtMs, codeOf?.(result));
      return result;
    } catch (error) {
      observer.engineCalled(verb, clock.nowMs() - beganAtMs, ExecutorError.from(error).code);
      throw error;
    }
  };
}

function observedSandbox(sandbox: Sandbox, tell: Tell): Sandbox {
  return {
    id: sandbox.id,
    taskKey: sandbox.taskKey,
    task: sandbox.task,
    imageDigest: sandbox.imageDigest,
    label: sandbox.label,
    isolation: sandbox.isolation,
    endpoint: sandbox.endpoint,
    phases: sandbox.phases,
    get warnings() {
      return sandbox.warnings;
    },
    ended: sandbox.ended,
    freeze: (signal) => tell("freeze", () => sandbox.freeze(signal)),
    thaw: (signal) => tell("thaw", () => sandbox.thaw(signal)),
    stop: (graceMs) => tell("stop", () => sandbox.stop(graceMs)),
    usage: (signal): Promise<SandboxUsage> => tell("usage", () => sandbox.usage(signal)),
    tailLog: (maxBytes, signal): Promise<LogTail> => tell("logs", () => sandbox.tailLog(maxBytes, signal)),
    followLog: (tailBytes, signal): AsyncIterable<LogChunk> => sandbox.followLog(tailBytes, signal),
  };
}

function observedJob(job: JobSandbox, tell: Tell): JobSandbox {
  return {
    id: job.id,
    mark: job.mark,
    task: job.task,
    imageDigest: job.imageDigest,
    label: job.label,
    isolation: job.isolation,
    gpuIds: job.gpuIds,
    startedAtMs: job.startedAtMs,
    ended: job.ended,
    end: (graceMs) => tell("stop", () => job.end(graceMs)),
    remove: () => tell("stop", () => job.remove()),
    usage: (signal): Promise<SandboxUsage> => tell("usage", () => job.usage(signal)),
    tailLog: (maxBytes, signal): Promise<LogTail> => tell("logs", () => job.tailLog(maxBytes, signal)),
    followLog: (tailBytes, signal): AsyncIterable<LogChunk> => job.followLog(tailBytes, signal),
  };
}

function observedWorker(worker: WorkerSandbox, tell: Tell): WorkerSandbox {
  return {
    ...observedJob(worker, tell),
    endpoint: worker.endpoint,
    endpointOf: (port) => worker.endpointOf(port),
  };
}

function observedJobLeftover(leftover: JobLeftover, tell: Tell): JobLeftover {
  return {
    ...leftover,
    adopt: async (signal) => observedJob(await tell("start", () => leftover.adopt(signal)), tell),
    reap: (signal) => tell("stop", () => leftover.reap(signal)),
  };
}

function observedLeftover(leftover: Leftover, tell: Tell): Leftover {
  return {
    ...leftover,
    adopt: async (signal) => observedSandbox(await tell("start", () => leftover.adopt(signal)), tell),
    reap: (signal) => tell("stop", () => leftover.reap(signal)),
  };
}
