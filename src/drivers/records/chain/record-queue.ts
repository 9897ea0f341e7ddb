import type { AttemptRecord, Clock, GapReason, Log, ReceiptLogState } from "../../../core/index.ts";
import { ExecutorError, toUs } from "../../../core/index.ts";
import { AttemptBatch } from "./attempt-batch.ts";
import type { BatchRoom, SentBatch } from "./attempt-rows.ts";
import { makeRoom } from "./attempt-rows.ts";
import type { Appended } from "./chain-writer.ts";
import { RefusalLimit } from "./refusal-limit.ts";

/** From the first attempt of a batch to its way to the writer. */
const BATCH_MS = 200;
/** How much longer a batch waits for what its attempts used. */
const MEASURING_MS = 600;
/** Attempts that may wait for a writer that is slow or cannot write; those on top of them are lost. */
const MOST_WAITING = 32_768;
/** Batches that may wait; they are small where little happens. */
const MOST_BATCHES = 64;
/** Memory of batches that is kept for others: of one that is filled, one that waits for its use, and one that is written. */
const MOST_SPARE = 3;
/** The pause before a batch that could not be written is tried again; it doubles up to the second. */
const RETRY_MS = 500;
const LONGEST_RETRY_MS = 15_000;

export interface RecordQueueOptions {
  readonly clock: Clock;
  readonly log: Log;
  append(batch: SentBatch): Promise<Appended>;
}

/** A batch on its way: it takes attempts, then waits for what they used, then is ready. */
interface Gathering {
  readonly batch: AttemptBatch;
  isOpen: boolean;
  stopTimer: () => void;
  /** Called when it is on its way to the writer, one for each who waits for that. */
  readonly onSent: (() => void)[];
}

/** A batch that waits for the writer, and the memory that it holds until it is written. */
interface Ready {
  readonly sent: SentBatch;
  readonly room: BatchRoom | undefined;
}

/** Gathers attempts into batches and hands them on one after the other. What cannot be kept is counted, and said in the chain. */
export class RecordQueue {
  readonly #options: RecordQueueOptions;
  readonly #refusals = new RefusalLimit();
  /** In the order in which they began; only the last may be open. */
  readonly #gathering: Gathering[] = [];
  readonly #ready: Ready[] = [];
  readonly #spare: BatchRoom[] = [];
  /** Attempts in `gathering` and `ready`. */
  #pending = 0;
  #lost: Partial<Record<GapReason, number>> = {};
  #working: Promise<void> | undefined;
  #retryMs = RETRY_MS;
  #stopRetry: (() => void) | undefined;
  #totals = { written: 0, lost: 0, counted: 0 };
  #fault: string | undefined;
  #isClosed = false;

  constructor(options: RecordQueueOptions) {
    this.#options = options;
  }

  state(): Omit<ReceiptLogState, "isEnabled"> {
    return { ...this.#totals, pending: this.#pending, fault: this.#fault };
  }

  /** Has the writer say that a life begins, and whether the one before it was cut off, before anything ends in it. */
  begin(): void {
    this.#openAndClose();
  }

  add(attempt: AttemptRecord): void {
    const isRefusal = attempt.place === undefined && attempt.outcome === "failed";
    const isCounted = isRefusal && !this.#refusals.isRecorded(attempt.times.endedAtMs);
    const one = this.#open();
    if (isCounted) {
      this.#refusals.count(ExecutorError.from(attempt.error).code);
      this.#totals.counted += 1;
    } else if (one === undefined) this.#lose();
    else {
      one.batch.add(attempt);
      this.#pending += 1;
      if (one.batch.isFull) this.#close(one);
    }
  }

  /** Resolves when everything that was added before is written, or could not be. */
  async flush(): Promise<void> {
    const last = this.#gathering.at(-1);
    if (last !== undefined) {
      const sent = new Promise<void>((resolve) => {
        last.onSent.push(resolve);
      });
      this.#close(last);
      await sent;
    }
    this.#stopRetry?.();
    this.#stopRetry = undefined;
    this.#work();
    await this.#working;
    if (!this.#owesMark) return;
    this.#openAndClose();
    await this.#working;
  }

  /** Nothing is tried any more. */
  close(): void {
    this.#isClosed = true;
    for (const { stopTimer } of this.#gathering) stopTimer();
    this.#stopRetry?.();
  }

  /** The batch that takes attempts now; none while too many wait. */
  #open(): Gathering | undefined {
    const last = this.#gathering.at(-1);
    if (this.#pending >= MOST_WAITING) return undefined;
    if (last?.isOpen === true) return last;
    if (this.#ready.length >= MOST_BATCHES) return undefined;
    const batch = new AttemptBatch(this.#spare.pop() ?? makeRoom());
    const one: Gathering = { batch, isOpen: true, stopTimer: () => undefined, onSent: [] };
    one.stopTimer = this.#options.clock.after(BATCH_MS, () => this.#due(one));
    this.#gathering.push(one);
    return one;
  }

  /** What was lost or counted has to be said even if no attempt follows it. */
  get #owesMark(): boolean {
    return Object.keys(this.#lost).length > 0 || !this.#refusals.isEmpty;
  }

  #openAndClose(): void {
    const one = this.#open();
    if (one !== undefined) this.#close(one);
  }

  #due(one: Gathering): void {
    // While nothing can be written there is no hurry, and few full batches are better than many small ones.
    if (this.#stopRetry === undefined) this.#close(one);
    else one.stopTimer = this.#options.clock.after(BATCH_MS, () => this.#due(one));
  }

  /** It takes no more attempts, and goes on as soon as the use of those it has is known, or the wait for that is over. */
  #close(one: Gathering): void {
    if (!one.isOpen) return;
    one.isOpen = false;
    one.stopTimer();
    const { batch } = one;
    if (batch.unmeasured === 0) {
      this.#sendReady();
      return;
    }
    one.stopTimer = this.#options.clock.after(MEASURING_MS, () => {
      batch.giveUpMeasuring();
    });
    batch.onMeasured = () => {
      one.stopTimer();
      this.#sendReady();
    };
  }

  /** In their order: one that still waits holds up those after it. */
  #sendReady(): void {
    const { clock } = this.#options;
    for (;;) {
      const [first] = this.#gathering;
      if (first === undefined || first.isOpen || first.batch.unmeasured > 0) break;
      this.#gathering.shift();
      const { batch } = first;
      const offsetUs = toUs(clock.wallMs()) - toUs(clock.nowMs());
      const sent = batch.send({ offsetUs, lost: this.#lost, counted: this.#refusals.take() });
      this.#lost = {};
      if (batch.isCopied) this.#free(batch.room);
      this.#ready.push({ sent, room: batch.isCopied ? undefined : batch.room });
      for (const onSent of first.onSent) onSent();
    }
    this.#work();
  }

  #work(): void {
    if (this.#working !== undefined || this.#stopRetry !== undefined || this.#isClosed) return;
    if (this.#ready.length === 0) return;
    this.#working = this.#writeAll().finally(() => {
      this.#working = undefined;
    });
  }

  async #writeAll(): Promise<void> {
    for (let first = this.#ready[0]; first !== undefined; first = this.#ready[0]) {
      try {
        const { written } = await this.#options.append(first.sent);
        this.#ready.shift();
        this.#free(first.room);
        this.#pending -= first.sent.count;
        this.#totals.written += written;
        this.#recovered();
        if (this.#owesMark) this.#open();
      } catch (error) {
        this.#failed(error);
        return;
      }
    }
  }

  #free(room: BatchRoom | undefined): void {
    if (room !== undefined && this.#spare.length < MOST_SPARE) this.#spare.push(room);
  }

  #recovered(): void {
    if (this.#fault !== undefined) this.#options.log.log("info", "receipts.regained", {});
    this.#fault = undefined;
    this.#retryMs = RETRY_MS;
  }

  #failed(error: unknown): void {
    const { code, message } = ExecutorError.from(error);
    if (this.#fault === undefined) this.#options.log.log("error", "receipts.failed", { error });
    this.#fault = code === "DISK_FULL" ? "the disk is full" : message;
    if (this.#isClosed) return;
    this.#stopRetry = this.#options.clock.after(this.#retryMs, () => {
      this.#stopRetry = undefined;
      this.#work();
    });
    this.#retryMs = Math.min(this.#retryMs * 2, LONGEST_RETRY_MS);
  }

  #lose(): void {
    const reason: GapReason = this.#fault === undefined ? "overload" : "store";
    if (this.#lost[reason] === undefined) this.#options.log.log("error", "receipts.lost", { reason });
    this.#lost[reason] = (this.#lost[reason] ?? 0) + 1;
    this.#totals.lost += 1;
  }
}
