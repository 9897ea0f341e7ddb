import { Worker } from "node:worker_threads";
import { ExecutorError } from "../../../core/index.ts";
import type { ChainPlace, ChainWriter } from "./chain-writer.ts";
import type { Question, Reply } from "./thread-messages.ts";
import { receiveError } from "./thread-messages.ts";

interface Pending {
  resolve(value: unknown): void;
  reject(error: Error): void;
}

export interface ThreadOptions {
  /** The built program of the thread. */
  readonly program: URL;
  /** The thread is gone without having been asked. */
  onLost(): void;
}

/** A writer on a thread of its own. Rejects when the chain cannot be opened. */
export async function startThreadWriter(place: ChainPlace, options: ThreadOptions): Promise<ChainWriter> {
  const worker = new Worker(options.program, { workerData: place, name: "receipts" });
  // It ends with the daemon, which closes it in order.
  worker.unref();
  const thread = new WriterThread(worker, options);
  await thread.opened;
  const ask =
    <Verb extends keyof ChainWriter>(verb: Verb) =>
    (...args: Parameters<ChainWriter[Verb]>): ReturnType<ChainWriter[Verb]> =>
      thread.ask(verb, args) as ReturnType<ChainWriter[Verb]>;
  return {
    append: ask("append"),
    list: ask("list"),
    get: ask("get"),
    receipt: ask("receipt"),
    beginExport: ask("beginExport"),
    exportNext: ask("exportNext"),
    close: () => thread.close(),
  };
}

class WriterThread {
  readonly opened: Promise<unknown>;
  readonly #worker: Worker;
  readonly #options: ThreadOptions;
  readonly #pending = new Map<number, Pending>();
  #asked = 0;
  #isClosing = false;
  #isGone = false;

  constructor(worker: Worker, options: ThreadOptions) {
    this.#worker = worker;
    this.#options = options;
    this.opened = new Promise((resolve, reject) => {
      this.#pending.set(0, { resolve, reject });
    });
    worker.on("message", (reply: Reply) => this.#heard(reply));
    worker.on("error", (error) => this.#lost(error));
    worker.on("exit", () => this.#lost(undefined));
  }

  ask(verb: Question["verb"], args: readonly unknown[]): Promise<unknown> {
    if (this.#isGone) return Promise.reject(gone());
    return new Promise((resolve, reject) => {
      this.#asked += 1;
      const id = this.#asked;
      this.#pending.set(id, { resolve, reject });
      // While somebody waits for it, it keeps the daemon alive.
      this.#worker.ref();
      this.#worker.postMessage({ id, verb, args } satisfies Question);
    });
  }

  async close(): Promise<void> {
    this.#isClosing = true;
    await this.ask("close", []);
    await this.#worker.terminate();
  }

  #heard({ id, result, error }: Reply): void {
    const pending = this.#pending.get(id);
    this.#pending.delete(id);
    if (this.#pending.size === 0) this.#worker.unref();
    if (error === undefined) pending?.resolve(result);
    else pending?.reject(receiveError(error));
  }

  #lost(cause: unknown): void {
    const waiting = [...this.#pending.values()];
    this.#pending.clear();
    for (const { reject } of waiting) reject(gone(cause));
    if (!this.#isClosing && !this.#isGone) this.#options.onLost();
    this.#isGone = true;
  }
}

function gone(cause?: unknown): ExecutorError {
  const reason = "the thread that keeps receipts has ended";
  return new ExecutorError("RECORDS_UNAVAILABLE", { reason }, { cause });
}
