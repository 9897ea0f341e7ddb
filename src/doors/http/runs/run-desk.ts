import type { Log, RunEnding, RunId, RunRecord, RunStore } from "../../../core/index.ts";
import { ExecutorError } from "../../../core/index.ts";
import type { CallSink, Executor } from "../../../engine/executor.ts";
import type { ByteBudget } from "../body/byte-budget.ts";
import type { Call } from "../calls/to-call.ts";
import type { HttpLimits } from "../limits.ts";
import { ActiveRun } from "./active-run.ts";
import { fingerprint } from "./fingerprint.ts";

export interface RunDeskOptions {
  readonly executor: Executor;
  readonly records: RunStore;
  readonly limits: HttpLimits;
  readonly held: ByteBudget;
  readonly log: Log;
  readonly nowMs: () => number;
}

export interface RecordedCall {
  readonly runId: RunId;
  readonly call: Call;
  /** The whole input; what `call` sends. */
  readonly body: Uint8Array;
  readonly key: string | undefined;
  readonly tap?: CallSink | undefined;
}

/** Either it starts now, or its key has met an earlier run of the same request. */
export type Started =
  | { readonly type: "started"; readonly run: ActiveRun }
  | { readonly type: "met"; readonly record: RunRecord };

/** Runs calls that are recorded, so that they can be asked about, fetched and repeated without running twice. */
export class RunDesk {
  readonly #options: RunDeskOptions;
  readonly #active = new Map<RunId, ActiveRun>();
  readonly #writing = new Set<Promise<void>>();
  #starting = 0;

  constructor(options: RunDeskOptions) {
    this.#options = options;
  }

  /**
   * Records a call, durably, and starts it.
   *
   * @throws {@link ExecutorError} QUEUE_FULL, IDEMPOTENCY_MISMATCH, RECORDS_UNAVAILABLE, DISK_FULL; then nothing has started.
   */
  async start({ runId, call, body, key, tap }: RecordedCall): Promise<Started> {
    const { executor, records, limits, held, nowMs } = this.#options;
    if (this.#active.size + this.#starting >= limits.activeRuns || !held.take(body.byteLength)) {
      throw new ExecutorError("QUEUE_FULL", { reason: "too many recorded calls run already" });
    }
    this.#starting += 1;
    let isStarted = false;
    try {
      const createdAtMs = nowMs();
      const { image } = call.task;
      const print = fingerprint(call, body);
      const holder = await records.begin({ runId, image, createdAtMs, key, fingerprint: print });
      if (holder !== undefined) return meet(holder, print);
      isStarted = true;
      const run = new ActiveRun({
        runId,
        image,
        createdAtMs,
        nowMs,
        recordBytes: limits.recordBytes,
        held,
        tap,
        onEnded: (ending) => {
          held.give(body.byteLength);
          this.#write(run, ending);
        },
      });
      this.#active.set(runId, run);
      // Only its own DELETE cancels it, and then its slot should come back at once.
      run.attach(executor.call(call.task, call.request, { ...call.options, onCancel: "retire" }, run));
      return { type: "started", run };
    } finally {
      this.#starting -= 1;
      if (!isStarted) held.give(body.byteLength);
    }
  }

  active(runId: RunId): ActiveRun | undefined {
    return this.#active.get(runId);
  }

  get activeCount(): number {
    return this.#active.size;
  }

  /** Waits until the end of every run that has ended is written. */
  async flush(): Promise<void> {
    await Promise.all(this.#writing);
  }

  #write(run: ActiveRun, ending: RunEnding): void {
    const { records, log } = this.#options;
    const writing = records
      .end(run.runId, ending)
      .then(() => log.log("debug", "run.recorded", { runId: run.runId, end: ending.end.type }))
      .catch((error: unknown) => log.log("error", "state.failed", { runId: run.runId, error }))
      .finally(() => {
        this.#active.delete(run.runId);
        this.#writing.delete(writing);
        run.settled();
      });
    this.#writing.add(writing);
  }
}

function meet(record: RunRecord, print: string): Started {
  if (record.fingerprint !== print) throw new ExecutorError("IDEMPOTENCY_MISMATCH", { runId: record.runId });
  return { type: "met", record };
}
