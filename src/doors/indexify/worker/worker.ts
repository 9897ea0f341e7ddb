import { once, setMaxListeners } from "node:events";
import { setImmediate } from "node:timers/promises";
import type {
  AttemptPlace,
  Clock,
  IndexifyObserver,
  Log,
  SandboxEnd,
  TaskSpec,
} from "../../../core/index.ts";
import { ContainerTerminationReason } from "../../../gen/executor_api_pb.js";
import type { InfoResponse } from "../../../gen/function_executor_pb.js";
import { isRpcError, RPC_CODES } from "../../../std/grpc/rpc-error.ts";
import { orAbort, pause } from "../../../std/index.ts";
import type { ContainerOrder } from "../commands/orders.ts";
import { timed, timedNow } from "../observe/timed.ts";
import type { ContainerCondition } from "../reconcile/plan.ts";
import type { CodeCache } from "./code-cache.ts";
import { startFailure, startWorker } from "./start-worker.ts";
import type { Health } from "./watch-health.ts";
import { untilUnwell } from "./watch-health.ts";
import { WorkerClient } from "./worker-client.ts";

/** What all attempts in one worker have in common, for their records. */
export interface WorkerHome extends Omit<AttemptPlace, "start"> {
  readonly task: TaskSpec;
  /** Its cards, by UUID. */
  readonly gpuIds: readonly string[];
}

/** A worker's program as it runs, whoever started it. */
export interface WorkerProcess {
  /** `host:port` at which it is, or will be, reached. */
  readonly address: string;
  /** Whether it was made of an image, which then is to blame for a program that is not there. */
  readonly isOfImage: boolean;
  /** `undefined` where nobody keeps records of it. */
  readonly home?: WorkerHome;
  /** Resolves once, when it runs no more; never rejects. */
  readonly ended: Promise<SandboxEnd>;
  /** Ends it at once, with everything that it has started. Resolves when nothing of it is left; never rejects. */
  kill(): Promise<void>;
  /** Whether it has nothing to do, for who keeps books of it. */
  rest?(isResting: boolean): void;
}

export interface WorkerTimes {
  /** Between two questions how it is; `undefined` asks none. */
  readonly healthMs: number | undefined;
  /** How long the news of an end may take after a connection broke to one that does not answer any more. */
  readonly endNewsMs: number;
  readonly readyMs: number;
}

export const WORKER_TIMES: WorkerTimes = { healthMs: 5_000, endNewsMs: 10_000, readyMs: 60_000 };

/** A machine that stands still takes one of so many steps of that time, and not all of it. */
const END_NEWS_STEPS = 40;
/** Between two questions to one whose connection broke. */
const ASK_AGAIN_MS = 250;

export interface WorkerOptions {
  readonly order: ContainerOrder;
  readonly code: Pick<CodeCache, "read">;
  readonly clock: Clock;
  readonly log: Log;
  readonly observer: IndexifyObserver;
  readonly times: WorkerTimes;
  /** @throws {@link ExecutorError} why there is none. */
  launch(order: ContainerOrder, signal: AbortSignal): Promise<WorkerProcess>;
  /** As `StartOptions.onVersion`. */
  onVersion(sdkVersion: string): void;
  /** Its condition is another now. */
  onChange(worker: Worker): void;
}

/** Why nothing more runs in a worker; the reason of its `gone` signal. */
export class WorkerGone extends Error {
  readonly reason: ContainerTerminationReason;

  constructor(reason: ContainerTerminationReason) {
    super("the worker has ended, or is being ended");
    this.reason = reason;
  }
}

/**
 * One worker from its start to its end (`contracts/indexify.md` section 4):
 *
 *     starting ──► running ──(stop)──► stopping ──► terminated
 *         └───────────┴──(it ends by itself)──────────▲
 */
export class Worker {
  readonly order: ContainerOrder;
  readonly #options: WorkerOptions;
  readonly #gone = new AbortController();
  readonly #waiters: (() => void)[] = [];
  readonly #isReady: Promise<void>;
  #becomeReady: () => void = () => undefined;
  #condition: ContainerCondition = { type: "starting" };
  #launching: Promise<WorkerProcess> | undefined;
  #process: WorkerProcess | undefined;
  #client: WorkerClient | undefined;
  #used = 0;
  #over: Promise<void> | undefined;
  info: InfoResponse | undefined;

  constructor(options: WorkerOptions) {
    this.order = options.order;
    this.#options = options;
    setMaxListeners(0, this.#gone.signal); // one for each allocation
    this.#isReady = new Promise((resolve) => {
      this.#becomeReady = resolve;
    });
  }

  get condition(): ContainerCondition {
    return this.#condition;
  }

  /** `undefined` before its program runs. */
  get home(): WorkerHome | undefined {
    return this.#process?.home;
  }

  /** Aborts with a {@link WorkerGone} when nothing may run in it any more. */
  get gone(): AbortSignal {
    return this.#gone.signal;
  }

  /** Only of one that runs. */
  get client(): WorkerClient {
    if (this.#client === undefined) throw new TypeError("the worker is not connected");
    return this.#client;
  }

  /** Starts it and, once it runs, looks after its health. Resolves when it has ended; never rejects. */
  async run(): Promise<void> {
    try {
      await timed(this.#options, "function_executor_create", this.gone, () => this.#start());
    } catch (error) {
      if (!(await this.#endsItself(error))) {
        const reason = startFailure(error);
        this.#options.log.log("warn", "indexify.worker-failed", { containerId: this.order.id, error });
        await this.stop(reason);
      }
    }
    if (this.#condition.type === "running") await this.#lookAfterHealth();
    await this.#over;
  }

  /** Ends it. The first reason counts. Resolves when nothing of it is left. */
  stop(reason: ContainerTerminationReason): Promise<void> {
    this.#over ??= this.#stop(reason);
    return this.#over;
  }

  /** A slot for one allocation, in the order of asking. @throws {@link WorkerGone}; the signal's reason. */
  async slot(signal: AbortSignal): Promise<() => void> {
    await orAbort(this.#isReady, signal);
    while (this.#used >= this.order.maxConcurrency) {
      await orAbort(new Promise<void>((resolve) => this.#waiters.push(resolve)), signal, () =>
        this.#wakeNext(),
      );
    }
    signal.throwIfAborted();
    this.#used += 1;
    this.#process?.rest?.(false);
    let isHeld = true;
    return () => {
      if (!isHeld) return;
      isHeld = false;
      this.#used -= 1;
      this.#process?.rest?.(this.#used === 0);
      this.#wakeNext();
    };
  }

  /** After a connection broke: waits for the news that it has ended, until it answers or that news is too late. */
  async hasEnded(): Promise<boolean> {
    const { clock, times } = this.#options;
    const known = new AbortController();
    const onGone = (): void => known.abort();
    this.gone.addEventListener("abort", onGone, { once: true });
    if (isOver(this.gone)) onGone();
    const asked = this.#untilItAnswers(known.signal).then(() => known.abort());
    for (let step = 0; step < END_NEWS_STEPS && !isOver(known.signal); step += 1)
      await pause(clock, times.endNewsMs / END_NEWS_STEPS, known.signal);
    known.abort();
    await asked;
    // News that came while this process stood still is heard after the timers that it missed.
    await setImmediate();
    this.gone.removeEventListener("abort", onGone);
    return isOver(this.gone);
  }

  /** Asks who it is: how it is, it does not tell before it has its function. Never rejects. */
  async #untilItAnswers(signal: AbortSignal): Promise<void> {
    while (!isOver(signal)) {
      try {
        await this.client.info(signal);
        return;
      } catch {
        await pause(this.#options.clock, ASK_AGAIN_MS, signal);
      }
    }
  }

  /** Whether a start failed because it is ended, or ends by itself, which then says more than the error. */
  async #endsItself(error: unknown): Promise<boolean> {
    const isBroken = isRpcError(error) && !isRpcError(error, RPC_CODES.deadlineExceeded);
    if (isBroken && this.#client !== undefined) return await this.hasEnded();
    return isOver(this.gone);
  }

  async #start(): Promise<void> {
    const { launch, log, observer } = this.#options;
    const { signal } = this.#gone;
    this.#launching = timed(this.#options, "function_executor_create_server", signal, () =>
      launch(this.order, signal),
    );
    const process = await this.#launching;
    signal.throwIfAborted();
    this.#process = process;
    this.#followEnd(process);
    const client = new WorkerClient(process.address);
    this.#client = client;
    this.info = await startWorker({ ...this.#options, client, signal });
    observer.workerAnswered({
      version: this.info.version ?? "",
      sdkVersion: this.info.sdkVersion ?? "",
      sdkLanguage: this.info.sdkLanguage ?? "",
      sdkLanguageVersion: this.info.sdkLanguageVersion ?? "",
    });
    signal.throwIfAborted();
    const { id } = this.order;
    log.log("info", "indexify.worker-started", { containerId: id, sdkVersion: this.info.sdkVersion });
    this.#become({ type: "running" });
    process.rest?.(true);
    this.#becomeReady();
  }

  #followEnd(process: WorkerProcess): void {
    process.ended
      .then((end) => {
        if (this.#over !== undefined) return undefined;
        const { log } = this.#options;
        log.log("warn", "indexify.worker-died", { containerId: this.order.id, ...end });
        return this.stop(this.#reasonOf(end));
      })
      .catch((error: unknown) => {
        this.#options.log.log("error", "indexify.worker-failed", { containerId: this.order.id, error });
      });
  }

  #reasonOf(end: SandboxEnd): ContainerTerminationReason {
    // By this host's operator, or its end: nobody's failure, and done again elsewhere for free.
    if (end.type === "stopped") return ContainerTerminationReason.FUNCTION_CANCELLED;
    if (this.#condition.type === "starting") return earlyEnd(end, this.#process?.isOfImage === true);
    if (end.type === "memory") return ContainerTerminationReason.OOM;
    if (end.type === "lost") return ContainerTerminationReason.INTERNAL_ERROR;
    return ContainerTerminationReason.PROCESS_CRASH;
  }

  async #stop(reason: ContainerTerminationReason): Promise<void> {
    this.#become({ type: "stopping" });
    this.#gone.abort(new WorkerGone(reason));
    await timed(this.#options, "function_executor_destroy", undefined, () => this.#destroy());
    this.#become({ type: "terminated", reason });
  }

  async #destroy(): Promise<void> {
    // A start that obeys the signal ends soon; one that came up all the same is ended like any other.
    const process = await this.#launching?.catch(() => undefined);
    if (process !== undefined) {
      await timed(this.#options, "function_executor_destroy_server", undefined, () => process.kill());
    }
    const client = this.#client;
    if (client === undefined) return;
    timedNow(this.#options, "function_executor_destroy_channel", () => client[Symbol.dispose]());
  }

  /** Beginning and ending are a matter of timers here: they take no time, and cannot fail. */
  async #lookAfterHealth(): Promise<void> {
    const { observer } = this.#options;
    observer.done("function_executor_create_health_checker", 0, false);
    await this.#watchHealth();
    observer.done("function_executor_destroy_health_checker", 0, false);
  }

  async #watchHealth(): Promise<void> {
    const { clock, log, times } = this.#options;
    const { signal } = this.#gone;
    const { healthMs } = times;
    if (healthMs === undefined) {
      if (!isOver(signal)) await once(signal, "abort");
      return;
    }
    const isIdle = (): boolean => this.#used === 0;
    const watch = { clock, everyMs: healthMs, isIdle, ask: () => this.#checkHealth() };
    const reason = await untilUnwell(watch, signal);
    if (reason === undefined) return;
    log.log("warn", "indexify.worker-unhealthy", { containerId: this.order.id, reason });
    await this.stop(ContainerTerminationReason.UNHEALTHY);
  }

  async #checkHealth(): Promise<Health> {
    const { log, observer } = this.#options;
    const { signal } = this.#gone;
    try {
      const { healthy, statusMessage = "it says so" } = await timed(
        this.#options,
        "function_executor_health_check",
        signal,
        () => this.client.health(signal),
      );
      if (healthy !== false) return { type: "well" };
      observer.happened("function_executor_failed_health_checks");
      return { type: "unwell", reason: statusMessage };
    } catch (error) {
      if (!isOver(signal)) observer.happened("function_executor_failed_health_checks");
      log.log("debug", "indexify.worker-unhealthy", { containerId: this.order.id, error });
      return { type: "silent" };
    }
  }

  #become(condition: ContainerCondition): void {
    this.#condition = condition;
    this.#options.onChange(this);
  }

  #wakeNext(): void {
    this.#waiters.shift()?.();
  }
}

/** A function, because the compiler believes that a signal which was not aborted once never is. */
function isOver(signal: AbortSignal): boolean {
  return signal.aborted;
}

/** What a shell, or the first process of a container, says of a program that it cannot run or that is not there. */
const NO_PROGRAM = new Set([126, 127]);

function earlyEnd(end: SandboxEnd, isOfImage: boolean): ContainerTerminationReason {
  return isOfImage && end.type === "exited" && NO_PROGRAM.has(end.exitCode)
    ? ContainerTerminationReason.STARTUP_FAILED_BAD_IMAGE
    : ContainerTerminationReason.STARTUP_FAILED_INTERNAL_ERROR;
}
