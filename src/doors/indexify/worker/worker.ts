import type { Clock, IndexifyObserver, Log, SandboxEnd } from "../../../core/index.ts";
import { ContainerTerminationReason } from "../../../gen/executor_api_pb.js";
import type { InfoResponse } from "../../../gen/function_executor_pb.js";
import { orAbort, pause } from "../../../std/index.ts";
import type { ContainerOrder } from "../commands/orders.ts";
import { timed, timedNow } from "../observe/timed.ts";
import type { ContainerCondition } from "../reconcile/plan.ts";
import type { CodeCache } from "./code-cache.ts";
import { startFailure, startWorker } from "./start-worker.ts";
import { WorkerClient } from "./worker-client.ts";

/** A worker's program as it runs, whoever started it. */
export interface WorkerProcess {
  /** `host:port` at which it is, or will be, reached. */
  readonly address: string;
  /** Resolves once, when it runs no more; never rejects. */
  readonly ended: Promise<SandboxEnd>;
  /** Ends it at once, with everything that it has started. Resolves when nothing of it is left; never rejects. */
  kill(): Promise<void>;
}

export interface WorkerTimes {
  readonly healthMs: number;
  /** How long the news of an end may take after a connection broke. */
  readonly endNewsMs: number;
  readonly readyMs: number;
}

export const WORKER_TIMES: WorkerTimes = { healthMs: 5_000, endNewsMs: 1_000, readyMs: 60_000 };

export interface WorkerOptions {
  readonly order: ContainerOrder;
  readonly code: Pick<CodeCache, "read">;
  readonly clock: Clock;
  readonly log: Log;
  readonly observer: IndexifyObserver;
  readonly times: WorkerTimes;
  /** @throws {@link ExecutorError} why there is none. */
  launch(order: ContainerOrder, signal: AbortSignal): Promise<WorkerProcess>;
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
  #client: WorkerClient | undefined;
  #used = 0;
  #over: Promise<void> | undefined;
  info: InfoResponse | undefined;

  constructor(options: WorkerOptions) {
    this.order = options.order;
    this.#options = options;
    this.#isReady = new Promise((resolve) => {
      this.#becomeReady = resolve;
    });
  }

  get condition(): ContainerCondition {
    return this.#condition;
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
      if (!this.#gone.signal.aborted) {
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
    let isHeld = true;
    return () => {
      if (!isHeld) return;
      isHeld = false;
      this.#used -= 1;
      this.#wakeNext();
    };
  }

  /** After a connection broke: waits a moment for the news that it has ended. */
  async hasEnded(): Promise<boolean> {
    const { clock, times } = this.#options;
    await pause(clock, times.endNewsMs, this.#gone.signal);
    return this.#gone.signal.aborted;
  }

  async #start(): Promise<void> {
    const { launch, log, observer } = this.#options;
    const { signal } = this.#gone;
    this.#launching = timed(this.#options, "function_executor_create_server", signal, () =>
      launch(this.order, signal),
    );
    const process = await this.#launching;
    signal.throwIfAborted();
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
    if (this.#condition.type === "starting") return ContainerTerminationReason.STARTUP_FAILED_INTERNAL_ERROR;
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

  /** A check that fails is only believed together with the end of the process, or when the worker says it itself. */
  async #watchHealth(): Promise<void> {
    const { clock, times, log, observer } = this.#options;
    const { signal } = this.#gone;
    for (;;) {
      await pause(clock, times.healthMs, signal);
      if (this.#gone.signal.aborted) return;
      try {
        const { healthy, statusMessage } = await timed(
          this.#options,
          "function_executor_health_check",
          signal,
          () => this.client.health(signal),
        );
        if (healthy !== false) continue;
        observer.happened("function_executor_failed_health_checks");
        log.log("warn", "indexify.worker-unhealthy", { containerId: this.order.id, reason: statusMessage });
        await this.stop(ContainerTerminationReason.UNHEALTHY);
      } catch (error) {
        if (!isOver(signal)) observer.happened("function_executor_failed_health_checks");
        log.log("debug", "indexify.worker-unhealthy", { containerId: this.order.id, error });
      }
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
