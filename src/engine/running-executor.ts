import { setMaxListeners } from "node:events";
import type {
  CallRequest,
  ClassReport,
  Clock,
  DoorName,
  DriverHealth,
  Exchange,
  GpuMonitor,
  HostMonitor,
  IsolationClass,
  Log,
  LogChunk,
  LogTail,
  Observer,
  OpenChannel,
  PullProgress,
  SandboxDriver,
  SandboxId,
  SandboxUsage,
  SessionId,
  Settings,
  TaskKey,
  TaskSpec,
  Tracer,
} from "../core/index.ts";
import { Books, ExecutorError, NO_OBSERVER, taskKey } from "../core/index.ts";
import type { DeskSandboxes } from "./admission-desk.ts";
import { AdmissionDesk } from "./admission-desk.ts";
import type { AttemptHost } from "./attempt.ts";
import { Attempt } from "./attempt.ts";
import { checkGpus } from "./check-gpus.ts";
import { checkTask } from "./check-task.ts";
import { isMappedAnew } from "./class-mapping.ts";
import { ClassRetries } from "./class-retries.ts";
import type { EngineContext } from "./context.ts";
import type {
  CallOptions,
  CallSink,
  DrainOptions,
  Executor,
  ExecutorState,
  ExecutorView,
  Prefetched,
  SandboxView,
  SessionView,
  Verdict,
  WaitingView,
} from "./executor.ts";
import { explain } from "./explain.ts";
import { GpuCards } from "./gpu-cards.ts";
import { observeDriver } from "./observe-driver.ts";
import { recover } from "./recover.ts";
import { sandboxesForDesk } from "./sandbox-ledger.ts";
import type { SandboxOwner } from "./sandbox-owner.ts";
import { Sessions } from "./sessions.ts";
import { shrink } from "./shrink.ts";
import { TaskLine } from "./task-line.ts";
import { TaskLines } from "./task-lines.ts";
import { Ticker } from "./ticker.ts";
import { viewOfSandbox, viewOfWaiting } from "./views.ts";
import { Watchers } from "./watchers.ts";

/** How late a deadline of the engine may be noticed. */
const TICK_MS = 250;
/** How long the end waits for sandboxes to be gone; what is left then is reaped by the next life. */
const END_DEADLINE_MS = 30_000;

export interface ExecutorParts {
  readonly driver: SandboxDriver;
  readonly openChannel: OpenChannel;
  readonly host: HostMonitor;
  readonly gpus: GpuMonitor;
  readonly clock: Clock;
  readonly log: Log;
  /** Hears what happens. Left out: nobody does. */
  readonly observer?: Observer;
  /** Left out: calls are not traced. */
  readonly tracer?: Tracer;
  /** Whether calls tell what they used of their sandbox. Default: no. */
  readonly measuresUse?: boolean;
  readonly settings: Settings;
  /** The operator's policy; asked before anything is looked up or booked. */
  isImageAllowed(image: string): boolean;
  newSandboxId(): SandboxId;
  /** One that nobody can guess. */
  newSessionId(): SessionId;
}

/** The executor: the owner of the books, of every task's line and of every call that runs. */
export class RunningExecutor implements Executor, AttemptHost {
  readonly observer: Observer;
  readonly tracer: Tracer | undefined;
  readonly #parts: ExecutorParts;
  readonly #books: Books;
  readonly #desk: AdmissionDesk;
  readonly #context: EngineContext;
  readonly #lines = new TaskLines(() => this.#context);
  readonly #running = new Set<Attempt>();
  readonly #work = new Set<Promise<void>>();
  readonly #ending = new AbortController();
  readonly #watchers: Watchers;
  readonly #ticker: Ticker;
  readonly #sandboxes: DeskSandboxes;
  readonly #gpus: GpuCards;
  readonly #sessions: Sessions;
  readonly #retries: ClassRetries;
  #settings: Settings;
  #state: ExecutorState = "running";
  #keepsWarm = false;
  #disposed: Promise<void> | undefined;

  constructor(given: ExecutorParts) {
    const observer = given.observer ?? NO_OBSERVER;
    const parts = { ...given, driver: observeDriver(given.driver, observer, given.clock) };
    this.observer = observer;
    // Every live sandbox listens to it.
    setMaxListeners(0, this.#ending.signal);
    this.tracer = given.tracer;
    this.#parts = parts;
    this.#settings = parts.settings;
    this.#books = new Books(parts.settings);
    const settings = (): Settings => this.#settings;
    this.#sandboxes = sandboxesForDesk(this.#lines, () => this.#context);
    this.#desk = new AdmissionDesk(this.#books, parts.clock, this.#sandboxes, settings);
    this.#watchers = new Watchers(parts.clock);
    this.#ticker = new Ticker(
      parts.clock,
      (nowMs) => this.#nextDueMs(nowMs),
      (nowMs) => this.#tick(nowMs),
    );
    this.#sessions = new Sessions({
      clock: parts.clock,
      log: parts.log,
      settings,
      newSessionId: () => parts.newSessionId(),
      armFor: (dueMs) => this.#ticker.armFor(dueMs),
    });
    this.#retries = new ClassRetries({
      driver: parts.driver,
      clock: parts.clock,
      ending: this.#ending.signal,
      track: (work) => this.track(work),
    });
    this.#context = {
      driver: parts.driver,
      openChannel: parts.openChannel,
      host: parts.host,
      clock: parts.clock,
      log: parts.log,
      observer,
      meters: parts.measuresUse === true ? { clock: parts.clock, readings: 0 } : undefined,
      books: this.#books,
      desk: this.#desk,
      gpuOffer: () => this.#gpus.offer,
      settings,
      newSandboxId: () => parts.newSandboxId(),
      ownerChanged: (owner) => this.#ownerChanged(owner),
      ending: this.#ending.signal,
      track: (work) => this.track(work),
      armTick: () => this.#ticker.arm(),
    };
    this.#gpus = new GpuCards({
      monitor: parts.gpus,
      books: this.#books,
      clock: parts.clock,
      settings,
      onChange: () => this.#gpusChanged(),
    });
  }

  async recover(signal: AbortSignal): Promise<void> {
    await recover(this.#context, (task, door) => this.#lines.getOrMake(taskKey(task), task, door), signal);
    this.#withdrawGpus();
    this.#shrink();
    this.#ticker.arm();
  }

  call(task: TaskSpec, request: CallRequest, options: CallOptions, sink: CallSink): Exchange {
    const key = taskKey(task);
    const line = this.#lines.get(key);
    const isPlain = options.session === undefined;
    if (isPlain && line !== undefined && this.#state === "running" && line.waiting.length === 0) {
      const owner = line.pick();
      if (owner !== undefined) {
        const attempt = new Attempt(this, line, request, options, sink);
        attempt.place(owner, "warm");
        return attempt;
      }
    }
    return this.#callLater(key, task, request, options, sink);
  }

  explain(task: TaskSpec, door: DoorName): Verdict {
    const key = taskKey(task);
    const host = {
      context: this.#context,
      lines: this.#lines,
      sandboxes: this.#sandboxes,
      running: this.#running,
      closed: () => this.#refusal(),
      refusal: () => this.#check(task) ?? this.#queueRefusal(),
    };
    return explain(host, this.#lines.get(key) ?? new TaskLine(this.#context, key, task, door));
  }

  view(): ExecutorView {
    const { driver, host } = this.#parts;
    return {
      state: this.#state,
      driver: driver.name,
      capabilities: driver.capabilities,
      classes: driver.classes(),
      host: host.capacity,
      usage: host.usage(),
      capacity: this.#books.capacity,
      reserved: this.#books.used,
      reservedByDoor: {
        http: this.#books.heldByDoor("http"),
        stream: this.#books.heldByDoor("stream"),
        indexify: this.#books.heldByDoor("indexify"),
      },
      gpuModel: this.#gpus.model,
      gpus: this.#gpus.view(),
      gpuTrouble: this.#gpus.offer.trouble,
      running: this.#running.size,
      waiting: this.#lines.waitingCount(),
      sandboxes: this.#lines.owners().length,
    };
  }

  async probe(signal: AbortSignal, isolation?: IsolationClass): Promise<readonly ClassReport[]> {
    return await this.#parts.driver.probe(signal, isolation);
  }

  health(signal: AbortSignal): Promise<DriverHealth> {
    return this.#parts.driver.health(signal);
  }

  sandboxes(): readonly SandboxView[] {
    return this.#lines.owners().map((owner) => viewOfSandbox(this.#context, owner));
  }

  waiting(): readonly WaitingView[] {
    return this.#lines.all().flatMap((line) => viewOfWaiting(this.#context, line));
  }

  async usage(sandboxId: SandboxId, signal: AbortSignal): Promise<SandboxUsage> {
    return await this.#find(sandboxId).sandbox.usage(signal);
  }

  sessions(): readonly SessionView[] {
    return this.#sessions.list();
  }

  session(sessionId: SessionId): SessionView {
    return this.#sessions.view(sessionId);
  }

  endSession(sessionId: SessionId): void {
    this.#sessions.end(sessionId);
  }

  async evict(sandboxId: SandboxId, options: { readonly isForced: boolean }): Promise<void> {
    const owner = this.#find(sandboxId);
    if ((owner.slotsUsed > 0 || owner.pins > 0) && !options.isForced) {
      throw new ExecutorError("SANDBOX_BUSY", {
        sandboxId,
        calls: owner.slotsUsed,
        ...(owner.pins > 0 ? { sessions: owner.pins } : {}),
      });
    }
    owner.stop("asked", options.isForced ? "kill" : "ask");
    await this.#watchers.until(() => owner.state.type === "gone");
  }

  async prefetch(
    image: string,
    options: { onProgress?(progress: PullProgress): void },
    signal: AbortSignal,
  ): Promise<Prefetched> {
    if (!this.#parts.isImageAllowed(image)) throw new ExecutorError("IMAGE_FORBIDDEN", { image });
    const resolved = await this.#parts.driver.resolve(image, { refresh: "moved", ...options }, signal);
    const outdated = this.#lines
      .owners()
      .filter(
        (owner) => owner.task.image === image && owner.isServing && owner.imageDigest !== resolved.digest,
      );
    for (const owner of outdated) owner.retire("outdated");
    return { digest: resolved.digest, wasPulled: resolved.wasPulled, retired: outdated.length };
  }

  async tailLog(sandboxId: SandboxId, maxBytes: number, signal: AbortSignal): Promise<LogTail> {
    return await this.#find(sandboxId).sandbox.tailLog(maxBytes, signal);
  }

  async *followLog(sandboxId: SandboxId, tailBytes: number, signal: AbortSignal): AsyncIterable<LogChunk> {
    yield* this.#find(sandboxId).sandbox.followLog(tailBytes, signal);
  }

  async pause(): Promise<{ readonly running: number }> {
    if (this.#state === "draining") throw new ExecutorError("DRAINING");
    if (this.#state === "running") {
      this.#become("pausing");
      this.#parts.log.log("info", "executor.paused", { running: this.#running.size });
      this.#clear("paused", new ExecutorError("PAUSED"));
    }
    await this.#watchers.until(() => this.#lines.owners().length === 0, this.#settings.pauseWaitMs);
    if (this.#state === "pausing" && this.#lines.owners().length === 0) this.#become("paused");
    return { running: this.#running.size };
  }

  unpause(): void {
    if (this.#state === "draining") throw new ExecutorError("DRAINING");
    if (this.#state === "running") return;
    this.#become("running");
    this.#parts.log.log("info", "executor.unpaused");
  }

  settings(): Settings {
    return this.#settings;
  }

  configure(settings: Settings): void {
    const before = this.#settings;
    this.#settings = settings;
    this.#parts.driver.configure({ runtimes: settings.runtimes });
    this.#books.setCapacity(settings);
    this.#gpus.configure();
    for (const line of this.#lines.all()) {
      const refusal = this.#check(line.task);
      if (refusal !== undefined) line.refuse(() => refusal);
    }
    this.#withdrawGpus();
    this.#retireMappedAnew(before);
    this.#shrink();
    this.#desk.pump();
    for (const line of this.#lines.all()) line.supply();
    this.#ticker.arm();
  }

  async drain(options: DrainOptions): Promise<{ readonly cut: number }> {
    if (this.#state !== "draining") {
      this.#become("draining");
      this.#keepsWarm = options.keepWarm && this.#parts.driver.capabilities.canAdopt;
      this.#parts.log.log("info", "executor.draining", { running: this.#running.size });
      this.#clear("drained", new ExecutorError("DRAINING"));
    }
    await this.#watchers.until(() => this.#running.size === 0, options.deadlineMs);
    const cut = [...this.#running];
    for (const attempt of cut)
      attempt.expire(new ExecutorError("DRAINING", { reason: "its time to finish is over" }));
    for (const owner of this.#lines.owners()) if (!this.#isKept(owner)) owner.stop("drained", "ask");
    await this.#watchers.until(
      () => this.#lines.owners().every((owner) => this.#isKept(owner)),
      END_DEADLINE_MS,
    );
    return { cut: cut.length };
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.#disposed ??= this.#dispose();
    return this.#disposed;
  }

  // What attempts ask of their host.

  nowMs(): number {
    return this.#parts.clock.nowMs();
  }

  onDisconnect(): "finish" | "cancel" {
    return this.#settings.onDisconnect;
  }

  started(attempt: Attempt): void {
    this.#running.add(attempt);
    this.#ticker.armFor(attempt.sentAtMs + TICK_MS);
  }

  ended(attempt: Attempt): void {
    this.#running.delete(attempt);
  }

  track(work: Promise<void>): void {
    const settled: Promise<void> = work
      .catch((error: unknown) => {
        this.#parts.log.log("error", "call.failed", { error });
      })
      .finally(() => this.#work.delete(settled));
    this.#work.add(settled);
  }

  #become(state: ExecutorState): void {
    this.#state = state;
    this.observer.executorChanged(state);
  }

  #callLater(
    key: TaskKey,
    task: TaskSpec,
    request: CallRequest,
    options: CallOptions,
    sink: CallSink,
  ): Exchange {
    const refusal = this.#refusal() ?? this.#check(task);
    if (refusal?.code === "ISOLATION_UNAVAILABLE") this.#retries.refused(this.#classOf(task));
    // A refused task is not remembered: nobody may fill the daemon with tasks that it never runs.
    const line =
      refusal === undefined
        ? this.#lines.getOrMake(key, task, options.door)
        : new TaskLine(this.#context, key, task, options.door);
    const attempt = new Attempt(this, line, request, options, sink);
    // What can fail at once must not fail before the caller has its handle.
    this.track(Promise.resolve().then(() => this.#enter(line, attempt, refusal)));
    return attempt;
  }

  /** The class that a task asks for; the driver's first if it names none. */
  #classOf({ isolation }: TaskSpec): IsolationClass {
    return isolation === "default" ? (this.#parts.driver.classes()[0]?.isolation ?? "container") : isolation;
  }

  #enter(line: TaskLine, attempt: Attempt, refusal: ExecutorError | undefined): void {
    if (attempt.isSettled) return;
    const late = refusal ?? this.#refusal() ?? this.#queueRefusal();
    if (late !== undefined) attempt.fail(late);
    else if (this.#tie(attempt, line)) line.enqueue(attempt, "back");
  }

  /** Ties a call to the session that it names, if it names one. @returns whether that could be; if not it has failed. */
  #tie(attempt: Attempt, line: TaskLine): boolean {
    const { session } = attempt.options;
    if (session === undefined) return true;
    try {
      attempt.tie = this.#sessions.tie(session, line.key);
      return true;
    } catch (error) {
      attempt.fail(ExecutorError.from(error));
      return false;
    }
  }

  /** What this host can or may never do. */
  #check(task: TaskSpec): ExecutorError | undefined {
    if (!this.#parts.isImageAllowed(task.image)) {
      return new ExecutorError("IMAGE_FORBIDDEN", { image: task.image });
    }
    const { driver } = this.#parts;
    return (
      checkTask(task, this.#books.capacity, driver.classes()) ??
      checkGpus(task, this.#books.rack, this.#gpus.offer)
    );
  }

  /** The books have the cards as they are now: somebody may have what it waited for, or waits in vain. */
  #gpusChanged(): void {
    const { trouble } = this.#gpus.offer;
    for (const line of this.#lines.all()) {
      if (line.task.resources.gpuCount === 0 || line.waiting.length === 0) continue;
      // A driver that only coughed may be back before their time is over.
      const refusal = trouble === undefined ? this.#check(line.task) : undefined;
      if (refusal !== undefined) line.refuse(() => refusal);
    }
    this.#desk.pump();
  }

  /** What another runtime has made is not what its class means now. */
  #retireMappedAnew(before: Settings): void {
    for (const owner of this.#lines.owners()) {
      const reached = owner.maybeSandbox?.isolation;
      if (reached !== undefined && isMappedAnew(before, this.#settings, reached)) owner.retire("outdated");
    }
  }

  /** Where GPUs are switched off, whatever holds some goes: at once if it is idle, else after its calls. */
  #withdrawGpus(): void {
    if (this.#settings.hasGpu) return;
    for (const line of this.#lines.all()) {
      if (line.task.resources.gpuCount === 0) continue;
      const refusal = checkGpus(line.task, this.#books.rack, this.#gpus.offer);
      if (refusal !== undefined) for (const start of [...line.starts]) start.abort(refusal);
      for (const owner of [...line.owners]) owner.retire("asked");
    }
  }

  #refusal(): ExecutorError | undefined {
    if (this.#state === "draining") return new ExecutorError("DRAINING");
    return this.#state === "running" ? undefined : new ExecutorError("PAUSED");
  }

  #queueRefusal(): ExecutorError | undefined {
    const limit = this.#settings.queueLimit;
    return this.#lines.waitingCount() >= limit ? new ExecutorError("QUEUE_FULL", { limit }) : undefined;
  }

  #find(sandboxId: SandboxId): SandboxOwner {
    const owner = this.#lines.find(sandboxId);
    if (owner?.maybeSandbox === undefined) throw new ExecutorError("SANDBOX_NOT_FOUND", { sandboxId });
    return owner;
  }

  #ownerChanged(owner: SandboxOwner): void {
    if (owner.pins > 0 && !owner.isServing) this.#sessions.lost(owner);
    if (this.#state !== "running" && owner.isIdle && !this.#isKept(owner)) {
      owner.stop(this.#state === "draining" ? "drained" : "paused", "ask");
      return;
    }
    if (owner.state.type === "gone" && owner.task.resources.gpuCount > 0) this.#gpus.refresh();
    // Its own callers first: a sandbox that woke or started for them must not be somebody's victim before they are served.
    this.#lines.get(owner.taskKey)?.changed(owner);
    this.#shrink();
    this.#desk.pump();
    if (owner.isIdle) this.#ticker.armFor(owner.lastUsedMs + this.#settings.idleTimeoutMs);
    else if (owner.state.type === "gone") this.#ticker.arm();
    this.#watchers.notify();
  }

  /** Lets go of everything that does not run a call: for a pause or the end. */
  #clear(cause: "paused" | "drained", error: ExecutorError): void {
    this.#sessions.endAll(error.message);
    for (const line of this.#lines.all()) {
      line.refuse(() => error);
      for (const start of [...line.starts]) start.abort(error);
      for (const owner of [...line.owners]) if (!this.#isKept(owner)) owner.retire(cause);
    }
  }

  /** Whether the executor's end leaves it warm for the next life. */
  #isKept(owner: SandboxOwner): boolean {
    return this.#keepsWarm && (owner.state.type === "hot" || owner.state.type === "frozen");
  }

  #shrink(): void {
    shrink(this.#books, this.#sandboxes, this.#settings, this.nowMs());
  }

  /** Soon while calls run or wait; otherwise when the next idle sandbox expires; never when there is none. */
  #nextDueMs(nowMs: number): number {
    if (this.#running.size > 0) return nowMs + TICK_MS;
    const { idleTimeoutMs } = this.#settings;
    const dueMs = Math.min(this.#lines.nextDueMs(nowMs, idleTimeoutMs), this.#sessions.nextDueMs());
    return dueMs <= nowMs ? nowMs + TICK_MS : dueMs;
  }

  #tick(nowMs: number): void {
    for (const attempt of [...this.#running]) {
      const limitMs = Math.min(
        this.#settings.runTimeoutMs,
        attempt.options.runTimeoutMs ?? Number.POSITIVE_INFINITY,
      );
      if (nowMs - attempt.sentAtMs >= limitMs)
        attempt.expire(new ExecutorError("RUN_TIMEOUT", { afterMs: limitMs }));
    }
    this.#sessions.expire(nowMs);
    this.#lines.expire(nowMs, this.#settings.idleTimeoutMs);
    this.#desk.pump();
  }

  async #dispose(): Promise<void> {
    await this.drain({ deadlineMs: 0, keepWarm: false });
    this.#ending.abort(new ExecutorError("DRAINING"));
    this.#ticker.stop();
    this.#gpus[Symbol.dispose]();
    await Promise.all(this.#work);
  }
}
