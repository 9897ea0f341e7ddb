import { randomUUID } from "node:crypto";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { ImagesFile } from "../../src/contract/executer-tracker/index.ts";
import { parseImagesFile } from "../../src/contract/executer-tracker/index.ts";
import type { Archiver, ArtifactStore, JobEvent, LogEvent } from "../../src/core/index.ts";
import { asId, ExecutorError } from "../../src/core/index.ts";
import type { JobDefaults, StreamDoorOptions, StreamSettings } from "../../src/doors/stream/door-options.ts";
import type { StreamDoor } from "../../src/doors/stream/open-stream-door.ts";
import { openStreamDoor } from "../../src/doors/stream/open-stream-door.ts";
import { MemoryQueue, openMemorySource } from "../../src/drivers/queue/index.ts";
import type {
  JobEnding,
  JobOrder,
  JobRequest,
  JobRoom,
  JobStop,
  RunningJob,
} from "../../src/engine/jobs/jobs.ts";
import { orAbort, systemClock } from "../../src/std/index.ts";
import { FakeExecutor } from "./fake-executor.ts";
import { poll } from "./poll.ts";

/** One job that has reached the engine; a test says how it ends. */
export class ScriptedJob implements RunningJob {
  readonly sandboxId = asId<"sandbox">(randomUUID());
  readonly label = "scripted";
  readonly isolation = "process";
  readonly imageDigest = "sha256:0";
  readonly gpuIds: readonly string[] = [];
  readonly startedAtMs = Date.now();
  readonly stops: JobStop[] = [];
  settled = 0;
  readonly mark: RunningJob["mark"];
  readonly task: RunningJob["task"];
  readonly order: JobOrder;
  #end: (ending: JobEnding) => void = () => undefined;
  readonly ending = new Promise<JobEnding>((resolve) => {
    this.#end = resolve;
  });

  constructor({ mark, task }: JobRequest, order: JobOrder) {
    this.mark = mark;
    this.task = task;
    this.order = order;
  }

  exit(exitCode = 0): void {
    this.#end({ cause: "exit", exitCode, usage: undefined, ranMs: 1 });
  }

  lose(): void {
    this.#end({ cause: "infrastructure", reason: "somebody removed it", usage: undefined, ranMs: 1 });
  }

  stop(by: JobStop): void {
    this.stops.push(by);
    this.#end({ cause: "stopped", by, usage: undefined, ranMs: 1 });
  }

  usage(): Promise<{ cpuMs: number; memoryBytes: number; memoryPeakBytes: undefined }> {
    return Promise.resolve({ cpuMs: 0, memoryBytes: 0, memoryPeakBytes: undefined });
  }

  tailLog(): Promise<{ text: string; isTruncated: boolean }> {
    return Promise.resolve({ text: "", isTruncated: false });
  }

  async *followLog(): AsyncGenerator<never> {
    // It prints nothing.
  }

  settle(): Promise<void> {
    this.settled += 1;
    return Promise.resolve();
  }
}

/** Steps that a test may hold up or let fail; by themselves they do nothing and work. */
export interface Steps {
  download(signal: AbortSignal): Promise<void>;
  start(signal: AbortSignal): Promise<void>;
  pack(signal: AbortSignal): Promise<void>;
  upload(signal: AbortSignal): Promise<void>;
}

const SETTINGS: StreamSettings = {
  concurrency: 1,
  claimAhead: 0,
  leaseMs: 60_000,
  maxDeaths: 3,
  maxAttempts: 3,
  killGraceMs: 10,
  onStop: "hand_back",
  inputBytes: 1e6,
  inputLimits: { entries: 10, totalBytes: 1e6, ratio: 10, depth: 3, nameBytes: 100, deadlineMs: 1000 },
  outputLimits: { entries: 10, totalBytes: 1e6, ratio: 10, depth: 3, nameBytes: 100, deadlineMs: 1000 },
  logBytes: 1000,
  uploadPatienceMs: 1,
  disk: { reserveBytes: 1, jobBytes: undefined, parts: 2 },
  workingDir: "/working_dir",
  hostName: "here",
  labels: {},
  fleetMs: 1000,
};

export const DEFAULTS: JobDefaults = {
  cpuMillis: 100,
  memoryBytes: 1e6,
  gpuCount: 2,
  pidsLimit: 5,
  network: "default",
  timeLimitMs: 1e6,
};

export const REGISTRATION = {
  uuid: "9f0c2d6e-1111-4222-8333-444455556666",
  redis_streams: ["shell_requests"],
  redis_consumer_group: "all_consumers",
  redis_consumer_name: "here",
} as const;

/** A stream door whose queue is in memory and whose engine, store and archives do what the test says. */
export class ScriptedDoor implements AsyncDisposable {
  readonly executor = new FakeExecutor();
  readonly queue: MemoryQueue;
  readonly jobs: ScriptedJob[] = [];
  /** Keys that the store holds. */
  readonly objects = new Set<string>();
  readonly log: LogEvent[] = [];
  readonly steps: Steps = { download: nothing, start: nothing, pack: nothing, upload: nothing };
  released = 0;
  /** Whether every job ends with 0 as soon as it has begun. */
  endsAtOnce = false;
  readonly folder: string;
  readonly door: StreamDoor;
  #made = 0;

  private constructor(
    folder: string,
    settings: Partial<StreamSettings>,
    options: Partial<StreamDoorOptions>,
    hasRoom: boolean,
  ) {
    this.folder = folder;
    const all = { ...SETTINGS, ...settings };
    this.queue = new MemoryQueue({
      nowMs: () => (options.clock ?? systemClock).nowMs(),
      wallMs: Date.now,
      leaseMs: all.leaseMs,
    });
    this.executor.jobs.hasRoom = hasRoom;
    this.executor.jobs.reserving = (request) => Promise.resolve(this.#room(request));
    this.door = openStreamDoor({
      executor: this.executor,
      types: types(),
      methods: { noop: ["/bin/true"] },
      defaults: () => DEFAULTS,
      settings: all,
      sharedDir: { localPath: folder, hostPath: "/on/the/host" },
      store: this.#store(),
      archiver: this.#archiver(),
      queue: {
        ready: () => Promise.resolve(),
        open: () => Promise.resolve(this.source("here")),
      },
      board: undefined,
      register: () => Promise.resolve({ ...REGISTRATION, redis_streams: [...REGISTRATION.redis_streams] }),
      forgetRegistration: () => Promise.resolve(),
      isPreempted: () => Promise.resolve(false),
      onFailure: () => this.log.push("executor.failed"),
      ownerId: "owner",
      version: "0",
      clock: systemClock,
      log: { log: (_level, event) => this.log.push(event) },
      ...options,
    });
  }

  static async open(
    settings: Partial<StreamSettings> = {},
    options: Partial<StreamDoorOptions> = {},
    hasRoom = true,
  ): Promise<ScriptedDoor> {
    return new ScriptedDoor(await mkdtemp(join(tmpdir(), "hearth-door-")), settings, options, hasRoom);
  }

  source(consumer: string): ReturnType<typeof openMemorySource> {
    const { queue } = this;
    return openMemorySource({ queue, streams: ["shell_requests"], consumer, clock: systemClock });
  }

  submit(fields: Readonly<Record<string, string>> = {}): string {
    this.#made += 1;
    const id = fields["id"] ?? `job${this.#made}`;
    this.queue.add("shell_requests", {
      id,
      task_dir: `t/${id}`,
      executer_type: "shell",
      method: "noop",
      ...fields,
    });
    return id;
  }

  /** The `n`-th job that was started, from 0. */
  async started(n = 0): Promise<ScriptedJob> {
    await poll(`job ${n} runs`, () => this.jobs.length > n || this.log.join());
    return this.jobs[n]!;
  }

  async until(what: string, ask: () => boolean): Promise<void> {
    await poll(what, () => ask() || `${this.types().join()} | ${this.log.join()}`);
  }

  types(): string[] {
    return this.queue.events.map(({ type }) => type);
  }

  async event(type: string): Promise<JobEvent> {
    await this.until(type, () => this.types().includes(type));
    return this.queue.events.find((event) => event.type === type)!;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const job of this.jobs) job.exit();
    await this.door[Symbol.asyncDispose]();
    await rm(this.folder, { recursive: true, force: true });
  }

  #room(request: JobRequest): JobRoom {
    return {
      sandboxId: asId<"sandbox">(randomUUID()),
      gpuIds: [],
      start: async (order, signal) => {
        await this.steps.start(signal);
        const job = new ScriptedJob(request, order);
        this.jobs.push(job);
        if (this.endsAtOnce) job.exit();
        return job;
      },
      release: () => {
        this.released += 1;
      },
    };
  }

  #store(): ArtifactStore {
    const { objects, steps } = this;
    const missing = (): never => {
      throw new ExecutorError("ARTIFACT_NOT_FOUND");
    };
    return {
      name: "scripted",
      uriOf: (key) => `scripted://${key}`,
      info: () => Promise.resolve(undefined),
      open: missing,
      write: missing,
      async download(_key, toPath, _options, signal) {
        await steps.download(signal);
        await writeFile(toPath, "zip");
        return { bytes: 3, sha256: "" };
      },
      async upload(key, _path, signal) {
        await steps.upload(signal);
        objects.add(key);
        return { bytes: 3, sha256: "" };
      },
      move(from, to) {
        if (!objects.delete(from)) missing();
        objects.add(to);
        return Promise.resolve();
      },
      remove(key) {
        objects.delete(key);
        return Promise.resolve();
      },
      check: () => Promise.resolve(),
      [Symbol.asyncDispose]: () => Promise.resolve(),
    };
  }

  #archiver(): Archiver {
    const { steps } = this;
    const unused = (): Promise<never> => Promise.reject(new Error("unused"));
    return {
      unpack: (_zip, into) => mkdir(join(into, "unpacked")).then(() => undefined),
      async pack(_dir, to, _limits, _extra, signal) {
        await steps.pack(signal);
        const zip = Buffer.from("zip");
        await (typeof to === "string" ? writeFile(to, zip) : to.write(zip));
        return { bytes: 3, files: 0, skipped: [], skippedCount: 0 };
      },
      list: unused,
      pick: unused,
    };
  }
}

/** A step that goes no further until it is cut, and how to see that it was reached. */
export function held(): { readonly step: Steps["start"]; readonly reached: Promise<void>; goOn(): void } {
  let reach: () => void = () => undefined;
  let goOn: () => void = () => undefined;
  const reached = new Promise<void>((resolve) => {
    reach = resolve;
  });
  const gate = new Promise<void>((resolve) => {
    goOn = resolve;
  });
  const step = async (signal: AbortSignal): Promise<void> => {
    reach();
    await orAbort(gate, signal);
  };
  return { step, reached, goOn: () => goOn() };
}

function nothing(): Promise<void> {
  return Promise.resolve();
}

function types(): ImagesFile {
  const parsed = parseImagesFile('{"shell": "shell"}');
  if (!parsed.isValid) throw new Error(parsed.faults.join());
  return parsed.types;
}
