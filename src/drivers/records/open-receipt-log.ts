import type {
  AttemptEntry,
  AttemptFilter,
  AttemptRecord,
  ChainRange,
  Clock,
  Log,
  Receipt,
  ReceiptKey,
  ReceiptLimits,
  ReceiptLog,
  ReceiptLogState,
} from "../../core/index.ts";
import { ExecutorError } from "../../core/index.ts";
import { orAbort, withDeadline } from "../../std/index.ts";
import { headLine, receiptKey } from "../../std/receipts/index.ts";
import type { ExportState } from "./chain/chain-export.ts";
import type { Appended, ChainPlace, ChainWriter } from "./chain/chain-writer.ts";
import type { LoadedKey } from "./chain/receipt-key-file.ts";
import { loadReceiptKey } from "./chain/receipt-key-file.ts";
import { RecordQueue } from "./chain/record-queue.ts";
import { translate } from "./translate-failure.ts";

export interface ReceiptLogOptions {
  /** The database file; its folder exists. */
  readonly file: string;
  /** The private key's file; made at the first start. */
  readonly keyFile: string;
  readonly version: string;
  readonly isEnabled: boolean;
  readonly limits: ReceiptLimits;
  readonly clock: Clock;
  readonly log: Log;
  /** `onLost` is called when the writer has ended by itself. */
  startWriter(place: ChainPlace, onLost: () => void): Promise<ChainWriter>;
}

/** A disk that does not answer must not keep the daemon from ending. */
const CLOSE_DEADLINE_MS = 5000;
/** Nor whoever reads. A filter that nothing meets reads the whole chain, which takes a second or two at most. */
const READ_DEADLINE_MS = 10_000;

/**
 * Opens the log of receipts. The key is read, or made, at once; the chain is opened behind that, or at its first use if nothing is
 * to be recorded. A key or chain that cannot be used stops no call: the log says so, and attempts wait, or are counted as lost.
 */
export async function openReceiptLog(options: ReceiptLogOptions): Promise<ReceiptLog> {
  const { keyFile, log } = options;
  try {
    return new DiskReceiptLog(options, await loadReceiptKey(keyFile));
  } catch (error) {
    log.log("error", "receipts.failed", { file: keyFile, error });
    return new DiskReceiptLog(options, undefined);
  }
}

class DiskReceiptLog implements ReceiptLog {
  readonly #options: ReceiptLogOptions;
  readonly #key: ReceiptKey | undefined;
  readonly #queue: RecordQueue;
  #writer: Promise<ChainWriter> | undefined;
  /** Until something is in the chain. */
  #isKeyNew: boolean;
  #setAside: string | undefined;
  #isAnew = false;
  #isClosed = false;

  constructor(options: ReceiptLogOptions, loaded: LoadedKey | undefined) {
    this.#options = options;
    this.#key = loaded && receiptKey(loaded.key);
    this.#isKeyNew = loaded?.isNew === true;
    this.#queue = new RecordQueue({
      clock: options.clock,
      log: options.log,
      append: async (batch) => this.#noted(await (await this.#writing()).append(batch)),
    });
    if (loaded !== undefined && options.isEnabled) this.#queue.begin();
  }

  record(attempt: AttemptRecord): void {
    if (this.#options.isEnabled && !this.#isClosed) this.#queue.add(attempt);
  }

  state(): ReceiptLogState {
    return { isEnabled: this.#options.isEnabled, ...this.#queue.state() };
  }

  list(filter: AttemptFilter): Promise<readonly AttemptEntry[]> {
    return this.#ask((writer) => writer.list(filter));
  }

  get(id: string): Promise<AttemptEntry | undefined> {
    return this.#ask((writer) => writer.get(id));
  }

  receipt(id: string): Promise<Receipt | undefined> {
    return this.#ask((writer) => writer.receipt(id));
  }

  key(): Promise<ReceiptKey> {
    const key = this.#key;
    return key === undefined ? Promise.reject(noKey()) : Promise.resolve(key);
  }

  async *lines({ from = 1, to = Number.MAX_SAFE_INTEGER }: ChainRange): AsyncIterable<string> {
    const head = headLine(await this.key());
    let state: ExportState | undefined = await this.#ask((writer) => writer.beginExport(from, to));
    yield `${head}\n`;
    while (state !== undefined) {
      const given: ExportState = state;
      const piece = await this.#ask((writer) => writer.exportNext(given));
      yield piece.text;
      state = piece.state;
    }
  }

  flush(): Promise<void> {
    return this.#inTime(() => this.#queue.flush());
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    const { clock, log } = this.#options;
    try {
      const deadline = { ms: CLOSE_DEADLINE_MS, code: "RECORDS_UNAVAILABLE", clock } as const;
      await withDeadline(deadline, (signal) => orAbort(this.#close(), signal));
    } catch (error) {
      // What could be kept is kept; the next life says that this one was cut off.
      log.log("warn", "receipts.failed", { error });
    } finally {
      this.#queue.close();
    }
  }

  async #close(): Promise<void> {
    await this.#queue.flush();
    await (await this.#writer)?.close();
  }

  #noted(appended: Appended): Appended {
    const { setAside, isAnew } = appended;
    const { file, log } = this.#options;
    if (setAside !== undefined && setAside !== this.#setAside)
      log.log("warn", "receipts.renewed", { setAside });
    else if (isAnew && !this.#isAnew) log.log("warn", "receipts.anew", { file });
    this.#setAside = setAside;
    this.#isAnew = isAnew;
    this.#isKeyNew = false;
    return appended;
  }

  /** For those who read. */
  #ask<T>(question: (writer: ChainWriter) => Promise<T>): Promise<T> {
    if (this.#isClosed) return Promise.reject(new ExecutorError("RECORDS_UNAVAILABLE", { reason: "closed" }));
    return this.#inTime(async () => await question(await this.#writing()));
  }

  #inTime<T>(work: () => Promise<T>): Promise<T> {
    const { clock } = this.#options;
    const facts = { reason: "the store of receipts does not answer", afterMs: READ_DEADLINE_MS };
    const deadline = { ms: READ_DEADLINE_MS, code: "RECORDS_UNAVAILABLE", facts, clock } as const;
    return withDeadline(deadline, (signal) => orAbort(work(), signal));
  }

  /** Also for what is left when it is being closed. */
  #writing(): Promise<ChainWriter> {
    if (this.#key === undefined) return Promise.reject(noKey());
    const { file, keyFile, limits, version } = this.#options;
    const isKeyNew = this.#isKeyNew;
    this.#writer ??= this.#options
      .startWriter({ file, keyFile, limits, version, isKeyNew }, () => {
        this.#writer = undefined;
      })
      .catch((error: unknown) => {
        this.#writer = undefined; // the next use tries again: the disk may have room by then
        throw translate(error);
      });
    return this.#writer;
  }
}

function noKey(): ExecutorError {
  return new ExecutorError("RECORDS_UNAVAILABLE", { reason: "the key of receipts cannot be used" });
}
