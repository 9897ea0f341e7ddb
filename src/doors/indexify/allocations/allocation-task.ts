import type { BlobStore, Clock, IndexifyObserver, Log } from "../../../core/index.ts";
import { ExecutorError } from "../../../core/index.ts";
import type {
  AllocationLogEntry,
  AllocationOutcome,
  FunctionCallResult,
} from "../../../gen/executor_api_pb.js";
import { AllocationFailureReason, ContainerTerminationReason } from "../../../gen/executor_api_pb.js";
import { AllocationOutcomeCode } from "../../../gen/function_executor_pb.js";
import type { AllocationOrder } from "../commands/orders.ts";
import { timed } from "../observe/timed.ts";
import { failureOfRunning, failureOfWaiting } from "../reconcile/reasons.ts";
import { type Worker, WorkerGone } from "../worker/worker.ts";
import { AllocationBlobs } from "./allocation-blobs.ts";
import { type FailureFacts, failed, outcomeOfResult } from "./outcomes.ts";
import { type Inputs, prepareAllocation } from "./prepare-allocation.ts";
import { type Blame, type RunEnd, runAllocation } from "./run-allocation.ts";

/** Completing and aborting blobs outlives the allocation's own signal. */
const FINALIZE_DEADLINE_MS = 120_000;
/** What the server sends for none. */
const DEFAULT_TIMEOUT_MS = 300_000;

export type AllocationPhase = "preparing" | "waiting" | "running" | "finalizing";

export interface AllocationTaskOptions {
  readonly order: AllocationOrder;
  readonly worker: Worker;
  readonly blobs: BlobStore;
  readonly clock: Clock;
  readonly log: Log;
  readonly observer: IndexifyObserver;
  onLogEntry(entry: AllocationLogEntry): void;
  onPhase(phase: AllocationPhase): void;
}

/** How far an allocation came, for its record. Times are the clock's milliseconds; a step that was not reached has none. */
export interface AllocationStory {
  /** It had its slot. */
  readonly startedAtMs: number | undefined;
  /** Its worker was done with it. */
  readonly workedAtMs: number | undefined;
  /** It waited for its worker to start. */
  readonly isCold: boolean;
  readonly bytesIn: number;
  readonly bytesOut: number;
  /** Why it failed, where this host knows more than it tells the server. */
  readonly cause: ExecutorError | undefined;
}

/** It ended before its worker had an answer. */
interface Interruption {
  readonly type: "interrupted";
  readonly error: unknown;
}

/** Of an allocation that broke off in a worker that lives, and is kept. */
const FAILURE_OF: Readonly<Record<Blame, AllocationFailureReason>> = {
  host: AllocationFailureReason.INTERNAL_ERROR,
  function: AllocationFailureReason.FUNCTION_ERROR,
};

/** Whether its run went wrong beside what its function did. One that the server gave up did not. */
function isFault(end: RunEnd | Interruption): boolean {
  if (end.type === "interrupted") return !(end.error instanceof AllocationCancelled);
  return end.type === "broken";
}

function isSuccess({ result }: Extract<RunEnd, { type: "result" }>): boolean {
  return result.outcomeCode === AllocationOutcomeCode.SUCCESS;
}

/** The server, or nobody any more, wants it; the reason of a cancelled allocation. */
export class AllocationCancelled extends Error {
  constructor() {
    super("the allocation was cancelled");
  }
}

/**
 * One allocation from its command to its outcome: its inputs are prepared while its worker may still be starting, it waits for
 * a slot, runs, and its blobs become whole or go before the outcome is told.
 */
export class AllocationTask {
  readonly #options: AllocationTaskOptions;
  readonly #writes: AllocationBlobs;
  readonly #controller = new AbortController();
  #early: FunctionCallResult[] = [];
  #takeResult: ((result: FunctionCallResult) => void) | undefined;
  readonly #isCold: boolean;
  #startedAtMs: number | undefined;
  #workedAtMs: number | undefined;
  #cause: ExecutorError | undefined;

  constructor(options: AllocationTaskOptions) {
    this.#options = options;
    this.#writes = new AllocationBlobs(options.blobs);
    this.#isCold = options.worker.condition.type !== "running";
  }

  get story(): AllocationStory {
    const { bytesIn, bytesOut } = this.#writes;
    return {
      startedAtMs: this.#startedAtMs,
      workedAtMs: this.#workedAtMs,
      isCold: this.#isCold,
      bytesIn,
      bytesOut,
      cause: this.#cause,
    };
  }

  /** The result of a call that it made; may come before it waits for it. */
  takeResult(result: FunctionCallResult): void {
    if (this.#takeResult === undefined) this.#early.push(result);
    else this.#takeResult(result);
  }

  cancel(): void {
    this.#controller.abort(new AllocationCancelled());
  }

  /** Never rejects. */
  async run(): Promise<AllocationOutcome> {
    const { gone } = this.#options.worker;
    const onGone = (): void => this.#controller.abort(gone.reason);
    gone.addEventListener("abort", onGone, { once: true });
    if (gone.aborted) onGone();
    try {
      return await this.#outcome();
    } finally {
      gone.removeEventListener("abort", onGone);
      const { log, order } = this.#options;
      await this.#writes.abortOpen(AbortSignal.timeout(FINALIZE_DEADLINE_MS), (error) => {
        log.log("warn", "indexify.blob-left", { allocationId: order.id, error });
      });
    }
  }

  async #outcome(): Promise<AllocationOutcome> {
    const end = await this.#attempt();
    if (this.#startedAtMs !== undefined) this.#workedAtMs = this.#options.clock.nowMs();
    this.#options.onPhase("finalizing");
    return await timed(
      this.#options,
      "allocation_finalization",
      undefined,
      () => this.#finalize(end),
      ({ outcome }) => end.type === "result" && isSuccess(end) && outcome.case !== "completed",
    );
  }

  async #attempt(): Promise<RunEnd | Interruption> {
    const { order, worker, blobs, onPhase } = this.#options;
    const { signal } = this.#controller;
    try {
      onPhase("preparing");
      const inputs = await timed(this.#options, "allocation_preparation", signal, () =>
        prepareAllocation(order, blobs, this.#writes, signal),
      );
      onPhase("waiting");
      const release = await timed(this.#options, "schedule_allocation", signal, () => worker.slot(signal));
      try {
        onPhase("running");
        const end = await timed(
          this.#options,
          "allocation_run",
          signal,
          () => this.#run(inputs).catch((error: unknown) => ({ type: "interrupted", error }) as const),
          isFault,
        );
        await this.#leave(end);
        return end;
      } finally {
        release();
      }
    } catch (error) {
      return { type: "interrupted", error };
    }
  }

  /** Before the next one has its slot: in a worker that is dead, or that has to end, it would be charged with that end. */
  async #leave(end: RunEnd | Interruption): Promise<void> {
    // What it runs is still at it, and nothing but the end of its process ends that.
    if (end.type === "timeout") this.#endWorker(ContainerTerminationReason.FUNCTION_TIMEOUT);
    if (end.type === "interrupted" && end.error instanceof AllocationCancelled)
      this.#endWorker(ContainerTerminationReason.FUNCTION_CANCELLED);
    if (end.type === "broken") await this.#options.worker.hasEnded();
  }

  async #finalize(end: RunEnd | Interruption): Promise<AllocationOutcome> {
    if (end.type === "interrupted") return this.#interrupted(end.error);
    try {
      return await this.#settle(end);
    } catch (error) {
      return this.#interrupted(error);
    }
  }

  #run(inputs: Inputs): Promise<RunEnd> {
    const { order, worker, blobs, clock, log, observer, onLogEntry } = this.#options;
    this.#startedAtMs = clock.nowMs();
    return runAllocation(
      {
        order,
        inputs,
        client: worker.client,
        blobs,
        writes: this.#writes,
        clock,
        log,
        observer,
        timeoutMs: worker.order.allocationTimeoutMs || DEFAULT_TIMEOUT_MS,
        onLogEntry,
        onResults: (take) => {
          this.#takeResult = take;
          for (const result of this.#early) take(result);
          this.#early = [];
        },
      },
      this.#controller.signal,
    );
  }

  async #settle(end: RunEnd): Promise<AllocationOutcome> {
    const { order, worker } = this.#options;
    switch (end.type) {
      case "result": {
        // Beside the rest: nobody waits for what the worker remembers.
        worker.client.forget(order.id).catch(() => undefined); // never: it does not reject
        const signal = AbortSignal.timeout(FINALIZE_DEADLINE_MS);
        return await outcomeOfResult(order, end.result, {
          ...{ writes: this.#writes, durationMs: this.#durationMs(), signal },
          onFault: (fault) => this.#noteFault(fault),
        });
      }
      case "timeout":
        return this.#failed(AllocationFailureReason.FUNCTION_TIMEOUT, true);
      case "broken":
        return await this.#afterBreak(end);
    }
  }

  /** Whatever the status was: a worker that is about to end may answer with any. */
  async #afterBreak({ reason, blame }: RunEnd & { readonly type: "broken" }): Promise<AllocationOutcome> {
    const { order, worker } = this.#options;
    this.#note(reason);
    if (worker.gone.aborted) return this.#interrupted(worker.gone.reason);
    await worker.client.forget(order.id);
    return this.#failed(FAILURE_OF[blame], false);
  }

  #interrupted(error: unknown): AllocationOutcome {
    if (error instanceof WorkerGone) {
      const hasRun = this.#startedAtMs !== undefined;
      return this.#failed(hasRun ? failureOfRunning(error.reason) : failureOfWaiting(error.reason), true);
    }
    if (error instanceof AllocationCancelled) {
      const hasRun = this.#startedAtMs !== undefined;
      return this.#failed(AllocationFailureReason.ALLOCATION_CANCELLED, hasRun);
    }
    this.#noteFault(error);
    return this.#failed(AllocationFailureReason.INTERNAL_ERROR, false);
  }

  #noteFault(fault: unknown): void {
    if (fault instanceof ExecutorError) this.#cause ??= fault;
    this.#note(fault instanceof Error ? fault.message : String(fault), fault);
  }

  /** @returns at once: the outcome does not wait for the last of its processes. */
  #endWorker(reason: ContainerTerminationReason): void {
    const { worker } = this.#options;
    worker.stop(reason).catch(() => undefined); // never: it does not reject
  }

  #failed(reason: AllocationFailureReason, isWorkerDead: boolean): AllocationOutcome {
    const { order, worker } = this.#options;
    const facts: FailureFacts = {
      ...(this.#startedAtMs === undefined ? {} : { durationMs: this.#durationMs() }),
      ...(isWorkerDead ? { deadContainerId: worker.order.id } : {}),
    };
    return failed(order, reason, facts);
  }

  #note(reason: string, error?: unknown): void {
    const { log, order } = this.#options;
    const more = error instanceof ExecutorError ? { error } : {};
    log.log("warn", "indexify.allocation-failed", { allocationId: order.id, reason, ...more });
  }

  #durationMs(): bigint {
    return BigInt(
      Math.round(this.#options.clock.nowMs() - (this.#startedAtMs ?? this.#options.clock.nowMs())),
    );
  }
}
