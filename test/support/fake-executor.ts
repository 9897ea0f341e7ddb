import type {
  AnswerHead,
  CallRequest,
  ClassReport,
  DriverHealth,
  Exchange,
  LogChunk,
  Resources,
  SandboxId,
  SandboxUsage,
  SessionId,
  Settings,
  TaskSpec,
} from "../../src/core/index.ts";
import {
  asId,
  DEFAULT_RESOURCES,
  ExecutorError,
  MEBIBYTE,
  NO_RESOURCES,
  taskKey,
} from "../../src/core/index.ts";
import type {
  CallOptions,
  CallSink,
  Executor,
  ExecutorState,
  ExecutorView,
  Placement,
  Prefetched,
  SandboxLog,
  SandboxView,
  SessionView,
  Verdict,
  WaitingView,
} from "../../src/engine/executor.ts";
import type { GpuView } from "../../src/engine/gpus/gpu-cards.ts";
import { FakeJobs } from "./fake-jobs.ts";
import { TEST_SETTINGS } from "./test-executor.ts";

/** One call that has reached the fake executor; the script of the test answers it. */
export class FakeCall implements Exchange {
  readonly task: TaskSpec;
  readonly request: CallRequest;
  readonly options: CallOptions;
  readonly sink: CallSink;
  isCancelled = false;
  isPaused = false;
  pauses = 0;

  constructor(task: TaskSpec, request: CallRequest, options: CallOptions, sink: CallSink) {
    this.task = task;
    this.request = request;
    this.options = options;
    this.sink = sink;
  }

  pause(): void {
    this.isPaused = true;
    this.pauses += 1;
  }

  resume(): void {
    this.isPaused = false;
  }

  cancel(): void {
    this.isCancelled = true;
    if (!(this.request.body instanceof Uint8Array)) this.request.body.destroy();
  }

  /** The whole input, however it comes; rejects as a channel would fail. */
  input(): Promise<Buffer> {
    const { body } = this.request;
    if (body instanceof Uint8Array) return Promise.resolve(Buffer.from(body));
    const chunks: Buffer[] = [];
    return new Promise((resolve, reject) => {
      body.start({
        onData: (chunk) => chunks.push(Buffer.from(chunk)),
        onEnd: () => resolve(Buffer.concat(chunks)),
        onError: reject,
      });
    });
  }

  place(placement: Partial<Placement> = {}): void {
    this.sink.onPlaced({ ...PLACEMENT, ...placement });
  }

  head(status = 200, headers: Readonly<Record<string, string>> = {}): void {
    if (this.isCancelled) return;
    const length = headers["content-length"];
    const head: AnswerHead = {
      status,
      headers: Object.entries(headers),
      contentType: headers["content-type"],
      contentLength: length === undefined ? undefined : Number(length),
    };
    this.sink.onHead(head);
  }

  data(chunk: string | Uint8Array): void {
    if (!this.isCancelled) this.sink.onData(Buffer.from(chunk as string));
  }

  end(): void {
    if (!this.isCancelled) this.sink.onEnd();
  }

  fail(error: Error): void {
    if (!this.isCancelled) this.sink.onError(error);
  }

  answer(text: string | Uint8Array, status = 200, contentType = "text/plain"): void {
    this.place();
    this.head(status, { "content-type": contentType, "content-length": String(Buffer.byteLength(text)) });
    this.data(text);
    this.end();
  }
}

export const PLACEMENT: Placement = {
  sandboxId: asId<"sandbox">("s1"),
  isolation: "container",
  imageDigest: "sha256:00",
  start: "warm",
  waitedMs: 1.4,
  phases: { createMs: 1, startMs: 2, readyMs: 3 },
  warnings: [],
};

/** An executor whose every answer a test may script. By itself it echoes. */
export class FakeExecutor implements Executor {
  readonly jobs = new FakeJobs();
  readonly calls: FakeCall[] = [];
  readonly done: string[] = [];
  readonly explained: TaskSpec[] = [];
  state: ExecutorState = "running";
  running = 0;
  capacity: Resources = { cpuMillis: 4000, memoryBytes: 4096 * MEBIBYTE, gpuCount: 0 };
  reserved: Resources = NO_RESOURCES;
  gpus: readonly GpuView[] = [];
  classes: readonly ClassReport[] = [
    { isolation: "container", runtime: undefined, state: "usable", reasons: [], sight: undefined },
  ];
  list: SandboxView[] = [];
  waits: WaitingView[] = [];
  sessionList: SessionView[] = [];
  healthAnswer: DriverHealth | "hang" = { isHealthy: true, detail: "" };
  logs: AsyncIterable<LogChunk> | undefined;
  script: (call: FakeCall) => void = echo;
  prefetching: (options: Parameters<Executor["prefetch"]>[1], signal: AbortSignal) => Promise<Prefetched> =
    () => Promise.resolve({ digest: "sha256:00", wasPulled: false, retired: 0 });
  #settings: Settings = TEST_SETTINGS;

  call(task: TaskSpec, request: CallRequest, options: CallOptions, sink: CallSink): Exchange {
    const call = new FakeCall(task, request, options, sink);
    this.calls.push(call);
    if (this.state !== "running") {
      const code = this.state === "draining" ? "DRAINING" : "PAUSED";
      setImmediate(() => call.fail(new ExecutorError(code)));
    } else setImmediate(() => this.script(call));
    return call;
  }

  /** What it says of any task. */
  verdict: Verdict = { type: "warm", sandboxId: asId<"sandbox">("s1") };

  explain(task: TaskSpec): Promise<Verdict> {
    this.explained.push(task);
    return Promise.resolve(this.verdict);
  }

  view(): ExecutorView {
    return {
      state: this.state,
      driver: "fake",
      capabilities: { isolation: ["container"], canFreeze: true, canAdopt: false },
      classes: this.classes,
      networks: { default: "internal", offered: ["none", "internal"], isFiltered: true, reasons: [] },
      host: { cpuMillis: 8000, memoryBytes: 8192 * MEBIBYTE },
      usage: { cpuPercent: 12.345, memoryPercent: 50, memoryAvailableBytes: 4096 * MEBIBYTE },
      capacity: this.capacity,
      reserved: this.reserved,
      reservedByDoor: { http: this.reserved, stream: NO_RESOURCES, indexify: NO_RESOURCES },
      gpuModel: "",
      gpus: this.gpus,
      gpuTrouble: undefined,
      running: this.running,
      waiting: this.waits.length,
      sandboxes: this.list.length,
      jobs: { byState: {}, running: this.jobs.views.length, waiting: 0 },
    };
  }

  probe(): Promise<readonly ClassReport[]> {
    this.done.push("probe");
    return Promise.resolve(this.classes);
  }

  health(signal: AbortSignal): Promise<DriverHealth> {
    this.done.push("health");
    if (this.healthAnswer !== "hang") return Promise.resolve(this.healthAnswer);
    return new Promise((_, reject) => {
      signal.addEventListener("abort", () => reject(signal.reason as Error), { once: true });
    });
  }

  sandboxes(): readonly SandboxView[] {
    return this.list;
  }

  waiting(): readonly WaitingView[] {
    return this.waits;
  }

  sessions(): readonly SessionView[] {
    return this.sessionList;
  }

  session(sessionId: SessionId): SessionView {
    const found = this.sessionList.find((session) => session.sessionId === sessionId);
    if (found === undefined) throw new ExecutorError("SESSION_NOT_FOUND");
    return found;
  }

  endSession(sessionId: SessionId): void {
    const found = this.session(sessionId);
    this.done.push(`end ${sessionId}`);
    this.sessionList = this.sessionList.filter((session) => session !== found);
  }

  usage(sandboxId: SandboxId): Promise<SandboxUsage> {
    this.#find(sandboxId);
    return Promise.resolve({ cpuMs: 10, memoryBytes: 20, memoryPeakBytes: undefined });
  }

  evict(sandboxId: SandboxId, { isForced }: { readonly isForced: boolean }): Promise<void> {
    return Promise.resolve().then(() => {
      const view = this.#find(sandboxId);
      if (view.slotsUsed > 0 && !isForced) throw new ExecutorError("SANDBOX_BUSY", { sandboxId });
      this.list = this.list.filter((sandbox) => sandbox !== view);
    });
  }

  prefetch(
    _image: string,
    options: Parameters<Executor["prefetch"]>[1],
    signal: AbortSignal,
  ): Promise<Prefetched> {
    return this.prefetching(options, signal);
  }

  tailLog(which: string, maxBytes: number): Promise<SandboxLog> {
    return Promise.resolve().then(() => {
      const { sandboxId } = this.#find(asId<"sandbox">(which));
      return { text: "a line\n".slice(-maxBytes), isTruncated: true, sandboxId, hasEnded: false };
    });
  }

  async *followLog(which: string, _tailBytes: number, signal: AbortSignal): AsyncIterable<LogChunk> {
    this.#find(asId<"sandbox">(which));
    if (this.logs !== undefined) {
      yield* this.logs;
      return;
    }
    yield { stream: "stdout", text: "first\n" };
    await new Promise<void>((resolve) => {
      if (signal.aborted) resolve();
      else signal.addEventListener("abort", () => resolve(), { once: true });
    });
    this.done.push("log closed");
  }

  pause(): Promise<{ readonly running: number }> {
    this.state = "paused";
    return Promise.resolve({ running: this.running });
  }

  unpause(): void {
    this.state = "running";
  }

  settings(): Settings {
    return this.#settings;
  }

  configure(settings: Settings): void {
    this.#settings = settings;
  }

  drain(): Promise<{ readonly cut: number }> {
    this.state = "draining";
    return Promise.resolve({ cut: 0 });
  }

  [Symbol.asyncDispose](): Promise<void> {
    return Promise.resolve();
  }

  #find(sandboxId: SandboxId): SandboxView {
    const view = this.list.find((sandbox) => sandbox.sandboxId === sandboxId);
    if (view === undefined) throw new ExecutorError("SANDBOX_NOT_FOUND", { sandboxId });
    return view;
  }
}

/** Answers with the input, under the same type. */
export function echo(call: FakeCall): void {
  call.input().then(
    (input) => call.answer(input, 200, call.request.contentType),
    (error: unknown) => call.fail(error as Error),
  );
}

/** A warm sandbox as lists show it. */
export function fakeSandbox(id: string, more: Partial<SandboxView> = {}): SandboxView {
  const task: TaskSpec = {
    image: "echo:1",
    isolation: "default",
    resources: DEFAULT_RESOURCES,
    sgx: false,
    network: "default",
  };
  return {
    sandboxId: asId<"sandbox">(id),
    label: `mecanywhere_echo_1_${id}`,
    taskKey: taskKey(task),
    task,
    tier: "hot",
    isolation: "container",
    imageDigest: "sha256:00",
    slotsUsed: 0,
    slots: 64,
    calls: 3,
    sessions: 0,
    ageMs: 1000,
    idleMs: 10,
    reserved: DEFAULT_RESOURCES,
    gpuIds: [],
    phases: { createMs: 1, startMs: 2, readyMs: 3 },
    warnings: [],
    ...more,
  };
}

/** A session as the executor tells of it. */
export function fakeSession(sessionId: string | undefined, more: Partial<SessionView> = {}): SessionView {
  const { taskKey: key, task, sandboxId } = fakeSandbox("a");
  return {
    sessionId: sessionId === undefined ? undefined : asId<"session">(sessionId),
    sandboxId,
    taskKey: key,
    task,
    calls: 0,
    ageMs: 12.5,
    expiresInMs: 1000.4,
    ...more,
  };
}
