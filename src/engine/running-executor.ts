import { setMaxListeners } from "node:events";
import type {
  CallRequest,
  ClassReport,
  DoorName,
  DriverHealth,
  Exchange,
  IsolationClass,
  LogChunk,
  Observer,
  PullProgress,
  SandboxId,
  SandboxUsage,
  SessionId,
  Settings,
  TaskSpec,
  Tracer,
} from "../core/index.ts";
import { Books, ExecutorError, NO_OBSERVER, taskKey } from "../core/index.ts";
import type { DeskSandboxes } from "./admission-desk.ts";
import { AdmissionDesk } from "./admission-desk.ts";
import { Attempt, type AttemptHost } from "./calls/attempt.ts";
import { explain } from "./calls/explain.ts";
import { Intake } from "./calls/intake.ts";
import { prefetch } from "./calls/prefetch.ts";
import { RunningCalls } from "./calls/running-calls.ts";
import { TaskLines } from "./calls/task-lines.ts";
import type { EngineContext } from "./context.ts";
import type {
  CallOptions,
  CallSink,
  DrainOptions,
  Executor,
  ExecutorView,
  Prefetched,
  SandboxLog,
  SandboxView,
  SessionView,
  Verdict,
  WaitingView,
} from "./executor.ts";
import type { ExecutorParts } from "./executor-parts.ts";
import { refuseInVain, retireUnfit, withdrawGpus } from "./gpus/follow-gpus.ts";
import { GpuCards } from "./gpus/gpu-cards.ts";
import type { HeldJob } from "./jobs/held-job.ts";
import { JobEngine } from "./jobs/job-engine.ts";
import { observeDriver } from "./observe-driver.ts";
import { Opening } from "./opening.ts";
import { recover } from "./recover.ts";
import { retireMappedAnew } from "./sandboxes/class-mapping.ts";
import { LastWords } from "./sandboxes/last-words.ts";
import { NamedSandboxes } from "./sandboxes/named-sandboxes.ts";
import { sandboxesForDesk } from "./sandboxes/sandbox-ledger.ts";
import type { SandboxOwner } from "./sandboxes/sandbox-owner.ts";
import { Watchers } from "./sandboxes/watchers.ts";
import { Sessions } from "./sessions/sessions.ts";
import { shrink } from "./shrink.ts";
import { Ticker } from "./ticker.ts";
import { TrackedWork } from "./tracked-work.ts";
import { viewOfExecutor, viewOfSandbox, viewsOfWaiting } from "./views.ts";

/** How late a deadline of the engine may be noticed. */
const TICK_MS = 250;
/** The executor: the owner of the books, of every task's line and of every call that runs. */
export class RunningExecutor implements Executor, AttemptHost {
  readonly observer: Observer;
  readonly tracer: Tracer | undefined;
  readonly jobs: JobEngine;
  readonly refusal = (): ExecutorError | undefined => this.#opening.refusal();
  readonly #parts: ExecutorParts;
  readonly #books: Books;
  readonly #desk: AdmissionDesk;
  readonly #context: EngineContext;
  readonly #lines = new TaskLines(() => this.#context);
  readonly #lastWords: LastWords;
  readonly #running = new RunningCalls<Attempt>();
  readonly #work = new TrackedWork((error) => this.#parts.log.log("error", "call.failed", { error }));
  readonly #ending = new AbortController();
  readonly #watchers: Watchers;
  readonly #ticker: Ticker;
  readonly #sandboxes: DeskSandboxes;
  readonly #gpus: GpuCards;
  readonly #sessions: Sessions;
  readonly #opening: Opening;
  readonly #named: NamedSandboxes;
  readonly #intake: Intake;
  #settings: Settings;
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
    this.#sandboxes = sandboxesForDesk(
      this.#lines,
      () => this.jobs.held(),
      () => this.#context,
    );
    this.#desk = new AdmissionDesk(this.#books, parts.clock, this.#sandboxes, settings);
    this.#watchers = new Watchers(parts.clock);
    this.#ticker = new Ticker(
      parts.clock,
      (nowMs) => this.#nextDueMs(nowMs),
      (nowMs) => this.#tick(nowMs),
    );
    this.#lastWords = new LastWords(parts.clock);
    this.#sessions = new Sessions({
      clock: parts.clock,
      log: parts.log,
      settings,
      newSessionId: () => parts.newSessionId(),
      armFor: (dueMs) => this.#ticker.armFor(dueMs),
    });
    this.#opening = this.#makeOpening(parts);
    this.#context = this.#makeContext(parts);
    this.#gpus = new GpuCards({
      monitor: parts.gpus,
      books: this.#books,
      clock: parts.clock,
      settings,
      onChange: () => this.#gpusChanged(),
    });
    this.jobs = new JobEngine({
      ...{ engine: this.#context, refusal: this.refusal, rests: (job) => this.#opening.rests(job) },
      check: (task, door) => this.#intake.checkJob(task, door),
      changed: (job) => this.#jobChanged(job),
    });
    this.#named = new NamedSandboxes({
      lines: this.#lines,
      jobs: this.jobs,
      lastWords: this.#lastWords,
      watchers: this.#watchers,
    });
    this.#intake = new Intake({
      attempts: this,
      context: this.#context,
      lines: this.#lines,
      sessions: this.#sessions,
      opening: this.#opening,
      isImageAllowed: (image) => parts.isImageAllowed(image),
    });
  }

  async recover(signal: AbortSignal): Promise<void> {
    await recover(this.#context, (task, door) => this.#lines.getOrMake(taskKey(task), task, door), signal);
    await this.jobs.recover(signal);
    withdrawGpus(this.#lines, this.#gpus.offer);
    this.#shrink();
    this.#ticker.arm();
  }

  call(task: TaskSpec, request: CallRequest, options: CallOptions, sink: CallSink): Exchange {
    const key = taskKey(task);
    const line = this.#lines.get(key);
    const isPlain = options.session === undefined;
    if (isPlain && line !== undefined && this.#opening.state === "running" && line.waiting.length === 0) {
      const owner = line.pick();
      if (owner !== undefined) {
        const attempt = new Attempt(this, line, request, options, sink);
        attempt.place(owner, "warm");
        return attempt;
      }
    }
    return this.#intake.callLater(key, task, request, options, sink);
  }

  async explain(task: TaskSpec, door: DoorName, signal: AbortSignal): Promise<Verdict> {
    const host = {
      context: this.#context,
      lines: this.#lines,
      sandboxes: this.#sandboxes,
      running: this.#running,
      closed: this.refusal,
      refusal: () => this.#intake.refusal(task),
    };
    return await explain(host, task, door, signal);
  }

  get state(): ExecutorView["state"] {
    return this.#opening.state;
  }

  view(): ExecutorView {
    return viewOfExecutor(this.#context, this.#gpus, this.#lines, {
      state: this.#opening.state,
      running: this.#running.size,
      jobs: this.jobs.counts(),
    });
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
    return viewsOfWaiting(this.#context, this.#lines, this.jobs.withoutRoom);
  }

  usage(sandboxId: SandboxId, signal: AbortSignal): Promise<SandboxUsage> {
    return this.#named.usage(sandboxId, signal);
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

  evict(sandboxId: SandboxId, { isForced }: { readonly isForced: boolean }): Promise<void> {
    return this.#named.evict(sandboxId, isForced);
  }

  async prefetch(
    image: string,
    options: { onProgress?(progress: PullProgress): void },
    signal: AbortSignal,
  ): Promise<Prefetched> {
    if (!this.#parts.isImageAllowed(image)) throw new ExecutorError("IMAGE_FORBIDDEN", { image });
    return await prefetch(this.#parts.driver, this.#lines, image, options, signal);
  }

  tailLog(which: string, maxBytes: number, signal: AbortSignal): Promise<SandboxLog> {
    return this.#named.tailLog(which, maxBytes, signal);
  }

  followLog(which: string, tailBytes: number, signal: AbortSignal): AsyncIterable<LogChunk> {
    return this.#named.followLog(which, tailBytes, signal);
  }

  pause(): Promise<{ readonly running: number }> {
    return this.#opening.pause();
  }

  unpause(): void {
    this.#opening.unpause();
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
      const refusal = this.#intake.check(line.task);
      if (refusal !== undefined) line.refuse(() => refusal);
    }
    this.jobs.refuse((task, door) => this.#intake.checkJob(task, door));
    withdrawGpus(this.#lines, this.#gpus.offer);
    retireMappedAnew(this.#lines.owners(), before, settings);
    this.#shrink();
    this.#desk.pump();
    for (const line of this.#lines.all()) line.supply();
    this.#ticker.arm();
  }

  drain(options: DrainOptions): Promise<{ readonly cut: number }> {
    return this.#opening.drain(options);
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.#disposed ??= this.#dispose();
    return this.#disposed;
  }

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
    this.#work.add(work);
  }

  #makeOpening({ log, driver }: ExecutorParts): Opening {
    return new Opening({
      lines: this.#lines,
      sessions: this.#sessions,
      running: this.#running,
      jobs: () => this.jobs,
      watchers: this.#watchers,
      observer: this.observer,
      log,
      settings: () => this.#settings,
      canAdopt: () => driver.capabilities.canAdopt,
    });
  }

  #makeContext(parts: ExecutorParts): EngineContext {
    return {
      driver: parts.driver,
      openChannel: parts.openChannel,
      host: parts.host,
      clock: parts.clock,
      log: parts.log,
      observer: this.observer,
      meters: parts.measuresUse === true ? { clock: parts.clock, readings: 0 } : undefined,
      books: this.#books,
      desk: this.#desk,
      lastWords: this.#lastWords,
      gpuOffer: () => this.#gpus.offer,
      settings: () => this.#settings,
      newSandboxId: () => parts.newSandboxId(),
      ownerChanged: (owner) => this.#ownerChanged(owner),
      ending: this.#ending.signal,
      track: (work) => this.track(work),
      armTick: () => this.#ticker.arm(),
    };
  }

  /** The books have the cards as they are now. */
  #gpusChanged(): void {
    refuseInVain(this.#lines, this.jobs, this.#gpus.offer, (task) => this.#intake.check(task));
    retireUnfit(this.#lines, this.#books.rack, this.#gpus.offer);
    this.#desk.pump();
  }

  #ownerChanged(owner: SandboxOwner): void {
    if (owner.pins > 0 && !owner.isServing) this.#sessions.lost(owner);
    if (this.#opening.hasStopped(owner)) return;
    if (owner.state.type === "gone" && owner.task.resources.gpuCount > 0) this.#gpus.refresh();
    // Its own callers first: a sandbox that woke or started for them must not be somebody's victim before they are served.
    this.#lines.get(owner.taskKey)?.changed(owner);
    this.#shrink();
    this.#desk.pump();
    if (owner.isIdle) this.#ticker.armFor(owner.lastUsedMs + this.#settings.idleTimeoutMs);
    else if (owner.state.type === "gone") this.#ticker.arm();
    this.#watchers.notify();
  }

  #jobChanged(job: HeldJob): void {
    if (job.state === "gone" && job.gpuIds.length > 0) this.#gpus.refresh();
    this.#desk.pump();
    this.#watchers.notify();
  }

  #shrink(): void {
    shrink(this.#books, this.#sandboxes, this.#settings, this.nowMs());
  }

  /** Soon while calls run or wait; otherwise when the next idle sandbox expires; never when there is none. */
  #nextDueMs(nowMs: number): number {
    if (this.#running.size > 0 || this.jobs.waiting.size > 0) return nowMs + TICK_MS;
    const { idleTimeoutMs } = this.#settings;
    const dueMs = Math.min(this.#lines.nextDueMs(nowMs, idleTimeoutMs), this.#sessions.nextDueMs());
    return dueMs <= nowMs ? nowMs + TICK_MS : dueMs;
  }

  #tick(nowMs: number): void {
    for (const attempt of this.#running) attempt.expireAt(nowMs, this.#settings.runTimeoutMs);
    this.#sessions.expire(nowMs);
    this.#lines.expire(nowMs, this.#settings.idleTimeoutMs);
    this.#desk.pump();
  }

  async #dispose(): Promise<void> {
    await this.drain({ deadlineMs: 0, keepWarm: false });
    this.#ending.abort(new ExecutorError("DRAINING"));
    this.#ticker.stop();
    this.#gpus[Symbol.dispose]();
    await this.#work.settledSoon(this.#parts.clock);
  }
}
