import type { MessageInitShape } from "@bufbuild/protobuf";
import type { BlobStore, Clock, IndexifyObserver, Log } from "../../../core/index.ts";
import type { AllocationLogEntry, FunctionCallResult } from "../../../gen/executor_api_pb.js";
import type {
  AllocationResult,
  AllocationSchema,
  AllocationState,
  AllocationUpdateSchema,
} from "../../../gen/function_executor_pb.js";
import { isRpcError, RPC_CODES } from "../../../std/grpc/rpc-error.ts";
import type { AllocationOrder } from "../commands/orders.ts";
import { timed } from "../observe/timed.ts";
import type { WorkerClient } from "../worker/worker-client.ts";
import type { AllocationBlobs } from "./allocation-blobs.ts";
import { deliveryOf } from "./deliver-result.ts";
import { type CallReading, FunctionCalls, textOf } from "./function-calls.ts";
import { stateAnswer } from "./request-state.ts";
import { type OpenWatcher, ResultBook } from "./result-book.ts";
import { RunClock } from "./run-clock.ts";

/** A watch that breaks is opened again so many times in a row. */
const WATCH_REOPENS = 3;

export interface RunOptions {
  readonly order: AllocationOrder;
  readonly inputs: NonNullable<MessageInitShape<typeof AllocationSchema>["inputs"]>;
  readonly client: WorkerClient;
  readonly blobs: BlobStore;
  readonly writes: AllocationBlobs;
  readonly clock: Clock;
  readonly log: Log;
  readonly observer: IndexifyObserver;
  readonly timeoutMs: number;
  onLogEntry(entry: AllocationLogEntry): void;
  /** Told who takes the results of the calls that this allocation makes; before the first one can come. */
  onResults(take: (result: FunctionCallResult) => void): void;
}

/** How the time in the worker ended. */
export type RunEnd =
  | { readonly type: "result"; readonly result: AllocationResult }
  | { readonly type: "timeout" }
  /** It could not be given to its worker, or is not heard of any more. The worker may be dead, which then says more. */
  | { readonly type: "broken"; readonly reason: string; readonly blame: Blame };

/** Whom an allocation that broke off in a living worker is charged to (`contracts/indexify.md` 5.4). */
export type Blame = "host" | "function";

/**
 * Runs one allocation in its worker: creates it, follows its state, answers what its function asks for, and resolves with how
 * it ended. Rejects only with the signal's reason.
 */
export async function runAllocation(options: RunOptions, signal: AbortSignal): Promise<RunEnd> {
  const run = new AllocationRun(options, signal);
  try {
    return await run.go();
  } finally {
    await run.close();
  }
}

type Update = NonNullable<MessageInitShape<typeof AllocationUpdateSchema>["update"]>;

class AllocationRun {
  readonly #options: RunOptions;
  readonly #outer: AbortSignal;
  readonly #controller = new AbortController();
  readonly #unlink: () => void;
  readonly #calls: FunctionCalls;
  readonly #results: ResultBook;
  readonly #handled = new Set<string>();
  #clock: RunClock | undefined;
  #waiting: (() => void) | undefined;
  #progress = "";
  #isExpired = false;
  /** Answers go out one after the other: a call must not overtake the blob that it uses. */
  #answers: Promise<void> = Promise.resolve();

  constructor(options: RunOptions, signal: AbortSignal) {
    this.#options = options;
    this.#outer = signal;
    const onAbort = (): void => this.#controller.abort(signal.reason);
    signal.addEventListener("abort", onAbort, { once: true });
    this.#unlink = () => signal.removeEventListener("abort", onAbort);
    if (signal.aborted) onAbort();
    this.#calls = new FunctionCalls(options.order, options.writes);
    this.#results = new ResultBook((watcher, result) => this.#deliver(watcher, result));
  }

  async go(): Promise<RunEnd> {
    const { order, client, inputs, clock, timeoutMs, onResults } = this.#options;
    const signal = this.#controller.signal;
    signal.throwIfAborted();
    onResults((result) => {
      this.#results.arrived(result);
      this.#followWaits();
    });
    const { id: allocationId, requestId, functionCallId } = order;
    try {
      await client.create({ requestId, functionCallId, allocationId, inputs }, signal);
    } catch (error) {
      this.#outer.throwIfAborted();
      return { type: "broken", reason: textOf(error), blame: "host" };
    }
    this.#clock = new RunClock(clock, timeoutMs, () => {
      this.#isExpired = true;
      this.#controller.abort(new Error("the allocation's time is over"));
    });
    return await this.#follow();
  }

  /** Resolves when nothing of it is under way: no blob is begun after this. */
  async close(): Promise<void> {
    this.#clock?.stop();
    this.#unlink();
    this.#controller.abort(new Error("the allocation is over"));
    await this.#answers;
  }

  async #follow(): Promise<RunEnd> {
    let reopens = 0;
    for (;;) {
      try {
        for await (const state of this.#options.client.watch(
          this.#options.order.id,
          this.#controller.signal,
        )) {
          reopens = 0;
          this.#take(state);
          if (state.result !== undefined) return { type: "result", result: state.result };
        }
        return { type: "broken", reason: "its state ended without a result", blame: "function" };
      } catch (error) {
        this.#outer.throwIfAborted();
        if (this.#isExpired) return { type: "timeout" };
        reopens += 1;
        // What is no answer of the worker's is a defect of ours.
        if (!isRpcError(error, RPC_CODES.unknown) || reopens > WATCH_REOPENS)
          return { type: "broken", reason: textOf(error), blame: isRpcError(error) ? "function" : "host" };
        this.#clock?.restart();
      }
    }
  }

  /** A whole picture of what its function wants; each wish is carried out once, in this order. */
  #take(state: AllocationState): void {
    this.#noteProgress(state);
    for (const { id, size } of state.outputBlobRequests) {
      if (id !== undefined) this.#once(`blob ${id}`, () => this.#answerBlob(id, size ?? 0n));
    }
    for (const call of state.functionCalls) {
      this.#once(`call ${call.id ?? ""}`, async () => {
        const reading = await this.#readCall(call);
        if (reading.type === "entry") this.#options.onLogEntry(reading.entry);
        const status = reading.type === "refused" ? { code: reading.code, message: reading.message } : OK;
        const { id, updates } = call;
        await this.#answer({
          case: "functionCallCreationResult",
          value: {
            status,
            ...(id === undefined ? {} : { allocationFunctionCallId: id }),
            ...(updates?.rootFunctionCallId === undefined
              ? {}
              : { functionCallId: updates.rootFunctionCallId }),
          },
        });
      });
    }
    this.#results.watched(state.functionCallWatchers.map(openWatcher));
    this.#followWaits();
    for (const operation of state.requestStateOperations) {
      this.#once(`state ${operation.operationId ?? ""}`, async () => {
        const { blobs, writes, order } = this.#options;
        const parts = { blobs, writes, prefix: order.dataPrefix };
        const value = await stateAnswer(operation, parts, this.#controller.signal);
        await this.#answer({ case: "requestStateOperationResult", value });
      });
    }
  }

  async #readCall(call: AllocationState["functionCalls"][number]): Promise<CallReading> {
    const { signal } = this.#controller;
    const reading = await timed(
      this.#options,
      "call_function_rpc",
      signal,
      () => this.#calls.read(call, signal),
      ({ type }) => type === "refused",
    );
    if (reading.type === "entry") this.#options.observer.sent("function_call", reading.bytes);
    return reading;
  }

  /** Only news: what was reported once stays in every picture. */
  #noteProgress({ progress }: AllocationState): void {
    if (progress === undefined) return;
    const now = `${progress.current}/${progress.total}`;
    if (now === this.#progress) return;
    this.#progress = now;
    this.#clock?.restart();
  }

  /** While its function waits for others its own time stands still. */
  #followWaits(): void {
    if (this.#results.isWaiting) this.#waiting ??= this.#clock?.hold();
    else if (this.#waiting !== undefined) {
      this.#waiting();
      this.#waiting = undefined;
      this.#clock?.restart();
    }
  }

  #once(key: string, work: () => Promise<void>): void {
    if (this.#handled.has(key)) return;
    this.#handled.add(key);
    const release = this.#clock?.hold();
    this.#answers = this.#answers
      .then(work)
      .catch((error: unknown) => {
        if (this.#controller.signal.aborted) return;
        const { log, order } = this.#options;
        log.log("warn", "indexify.answer-failed", { allocationId: order.id, what: key, error });
      })
      .finally(() => release?.());
  }

  async #answerBlob(id: string, size: bigint): Promise<void> {
    const { writes, order, log } = this.#options;
    const uri = `${order.dataPrefix}.${order.id}.output_${id}`;
    let value: Extract<Update, { case: "outputBlob" }>["value"];
    try {
      value = { status: OK, blob: await writes.begin(id, uri, size, this.#controller.signal) };
    } catch (error) {
      log.log("warn", "indexify.answer-failed", { allocationId: order.id, what: `blob ${id}`, error });
      // The worker finds who asked by the blob's id, on an error too.
      value = { status: { code: RPC_CODES.internal, message: textOf(error) }, blob: { id } };
    }
    await this.#answer({ case: "outputBlob", value });
  }

  #deliver(watcher: OpenWatcher, result: FunctionCallResult): void {
    const what = `result for ${watcher.id}`;
    this.#once(what, async () => {
      const { blobs, writes, log, order } = this.#options;
      const onFault = (error: unknown): void =>
        log.log("warn", "indexify.answer-failed", { allocationId: order.id, what, error });
      const value = await deliveryOf(watcher, result, { blobs, onFault }, this.#controller.signal);
      writes.given((value.valueOutput ?? value.requestErrorOutput)?.manifest?.size ?? 0n);
      await this.#answer({ case: "functionCallResult", value });
    });
  }

  #answer(update: Update): Promise<void> {
    const { client, order } = this.#options;
    return client.update({ allocationId: order.id, update }, this.#controller.signal);
  }
}

const OK = { code: 0, message: "" };

/** Newer workers say both ids twice, in fields of which the older ones know the first only. */
function openWatcher(watcher: AllocationState["functionCallWatchers"][number]): OpenWatcher {
  const { id, watcherId, rootFunctionCallId, functionCallId } = watcher;
  return { id: id ?? watcherId ?? "", functionCallId: rootFunctionCallId ?? functionCallId ?? "" };
}
