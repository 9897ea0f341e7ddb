import type { BlobStore, Clock, IndexifyObserver, Log } from "../../../core/index.ts";
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
import { type RunEnd, runAllocation } from "./run-allocation.ts";

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

/** It ended before its worker had an answer. */
interface Interruption {
  readonly type: "interrupted";
  readonly error: unknown;
}

/** Whether its run went wrong beside what its function did. One that the server gave up did not. */
function isFault(end: RunEnd | Interruption): boolean {
  if (end.type === "interrupted") return !(end.error instanceof AllocationCancelled);
  return end.type === "broken" || end.type === "refused";
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
  #startedAtMs: number | undefined;

  constructor(options: AllocationTaskOptions) {
    this.#options = options;
    this.#writes = new AllocationBlobs(options.blobs);
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
    let release: (() => void) | undefined;
    try {
      onPhase("preparing");
      const inputs = await timed(this.#options, "allocation_preparation", signal, () =>
        prepareAllocation(order, blobs, this.#writes, signal),
      );
      onPhase("waiting");
      release = await timed(this.#options, "schedule_allocation", signal, () => worker.slot(signal));
      onPhase("running");
      return await timed(
        this.#options,
        "allocation_run",
        signal,
        () => this.#run(inputs).catch((error: unknown) => ({ type: "interrupted", error }) as const),
        isFault,
      );
    } catch (error) {
      return { type: "interrupted", error };
    } finally {
      release?.();
    }
  }

  async #finalize(end: RunEnd | Interruption): Promise<AllocationOutcome> {
    if (end.type === "interrupted") return await this.#interrupted(end.error);
    try {
      return await this.#settle(end);
    } catch (error) {
      return await this.#interrupted(error);
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
        await worker.client.forget(order.id);
        const signal = AbortSignal.timeout(FINALIZE_DEADLINE_MS);
        return await outcomeOfResult(order, end.result, this.#writes, this.#durationMs(), signal);
      }
      case "timeout":
        // Its thread is still at it, and nothing but the end of its process ends that.
        await this.#endWorker(ContainerTerminationReason.FUNCTION_TIMEOUT);
        return this.#failed(AllocationFailureReason.FUNCTION_TIMEOUT, true);
      case "broken":
        return await this.#afterBreak(end.reason);
      case "refused":
        this.#note(end.reason);
        await worker.client.forget(order.id);
        return this.#failed(AllocationFailureReason.INTERNAL_ERROR, false);
    }
  }

  async #afterBreak(reason: string): Promise<AllocationOutcome> {
    const { order, worker } = this.#options;
    this.#note(reason);
    if (await worker.hasEnded()) return this.#interrupted(worker.gone.reason);
    await worker.client.forget(order.id);
    return this.#failed(AllocationFailureReason.FUNCTION_ERROR, false);
  }

  async #interrupted(error: unknown): Promise<AllocationOutcome> {
    if (error instanceof WorkerGone) {
      const hasRun = this.#startedAtMs !== undefined;
      return this.#failed(hasRun ? failureOfRunning(error.reason) : failureOfWaiting(error.reason), true);
    }
    if (error instanceof AllocationCancelled) {
      const hasRun = this.#startedAtMs !== undefined;
      // There is no way to end it in a worker but to end the worker.
      if (hasRun) await this.#endWorker(ContainerTerminationReason.FUNCTION_CANCELLED);
      return this.#failed(AllocationFailureReason.ALLOCATION_CANCELLED, hasRun);
    }
    this.#note(error instanceof Error ? error.message : String(error));
    return this.#failed(AllocationFailureReason.INTERNAL_ERROR, false);
  }

  /** @returns at once: the outcome does not wait for the last of its processes. */
  async #endWorker(reason: ContainerTerminationReason): Promise<void> {
    const { worker } = this.#options;
    worker.stop(reason).catch(() => undefined); // never: it does not reject
    await Promise.resolve();
  }

  #failed(reason: AllocationFailureReason, isWorkerDead: boolean): AllocationOutcome {
    const { order, worker } = this.#options;
    const facts: FailureFacts = {
      ...(this.#startedAtMs === undefined ? {} : { durationMs: this.#durationMs() }),
      ...(isWorkerDead ? { deadContainerId: worker.order.id } : {}),
    };
    return failed(order, reason, facts);
  }

  #note(reason: string): void {
    const { log, order } = this.#options;
    log.log("warn", "indexify.allocation-failed", { allocationId: order.id, reason });
  }

  #durationMs(): bigint {
    return BigInt(
      Math.round(this.#options.clock.nowMs() - (this.#startedAtMs ?? this.#options.clock.nowMs())),
    );
  }
}
