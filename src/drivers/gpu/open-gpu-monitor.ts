import type { GpuMonitor, GpuReading, Log } from "../../core/index.ts";
import { backoffMs, sleep } from "../../std/index.ts";
import { CardBook } from "./card-book.ts";
import { CardNews } from "./card-news.ts";
import type { Surroundings } from "./chosen-cards.ts";
import { ChosenCards, surroundingChoice } from "./chosen-cards.ts";
import { nodesOf } from "./device-nodes.ts";
import type { SmiAnswer } from "./query-smi.ts";
import { querySmi } from "./query-smi.ts";
import type { CardsReport } from "./report.ts";
import type { ReaderEnd } from "./run-reader.ts";
import { runReader } from "./run-reader.ts";

export interface GpuMonitorOptions {
  /** Whether cards are looked for from the start; while they are not, nothing runs and nothing is asked. */
  readonly isEnabled: boolean;
  /** Indices or UUIDs of the cards that may be used; empty means all. */
  readonly only?: readonly string[];
  /** The pause between two looks. */
  readonly pollMs: number;
  /** Program and arguments of the reader (`reader/main.ts`). */
  readonly reader: readonly string[];
  readonly log?: Log | undefined;
  /** What narrows the choice beside `only`. Default: this process's environment, on a host. */
  readonly surroundings?: Surroundings;
  /** `nvidia-smi` by another name or place. */
  readonly smi?: string;
  readonly patience?: Partial<Patience>;
}

export interface Patience {
  /** Until the reader's first word. */
  readonly firstWordMs: number;
  /** Between two of its words, on top of the poll's pause. */
  readonly silentMs: number;
  /** Pauses between two tries when there is no way to read cards. */
  readonly firstRetryMs: number;
  readonly maxRetryMs: number;
  /** How long a way that works less well is used before the better one is tried again. */
  readonly smiForMs: number;
}

const PATIENCE: Patience = {
  firstWordMs: 15_000,
  silentMs: 5000,
  firstRetryMs: 1000,
  maxRetryMs: 60_000,
  smiForMs: 600_000,
};
/** How long closing waits for a process that was killed. */
const CLOSE_MS = 500;

/** The monitor, with what else is known of a card. */
export interface OpenGpuMonitor extends GpuMonitor {
  /** The version of the host's NVIDIA driver; empty while it is unknown. */
  readonly driverVersion: string;
  /** The device files that a program needs to use these cards and no others. */
  nodesOf(ids: readonly string[]): readonly string[];
  /** Resolves after the first look that came to something, also to nothing; at once while disabled. For `doctor`. */
  looked(): Promise<void>;
}

/**
 * Reads cards through NVML in a process of its own, and where NVML is not to be had through `nvidia-smi`.
 *
 *     off ──setEnabled──► reader ──(unavailable)──► nvidia-smi ──(absent, fails, long enough)──► pause ──► reader
 *                           └──(fails, is silent: killed)──────────────────────────────────────────┘
 *
 * Returns at once; nothing here ever waits for the driver. A killed process that does not go, because it hangs in the
 * kernel, is left alone, and no other is started beside it.
 */
export function openGpuMonitor(options: GpuMonitorOptions): OpenGpuMonitor {
  const monitor = new Monitor(options);
  monitor.setEnabled(options.isEnabled);
  return monitor;
}

class Monitor implements OpenGpuMonitor {
  readonly #options: GpuMonitorOptions;
  readonly #patience: Patience;
  readonly #listeners = new Set<() => void>();
  readonly #news: CardNews;
  #watch: Watch | undefined;

  constructor(options: GpuMonitorOptions) {
    this.#options = options;
    this.#patience = { ...PATIENCE, ...options.patience };
    this.#news = new CardNews(options.log);
  }

  get source(): GpuMonitor["source"] {
    return this.#watch?.source ?? "none";
  }

  get trouble(): string | undefined {
    return this.#watch?.trouble;
  }

  get driverVersion(): string {
    return this.#watch?.driverVersion ?? "";
  }

  readings(): readonly GpuReading[] {
    return this.#watch?.readings ?? [];
  }

  nodesOf(ids: readonly string[]): readonly string[] {
    return nodesOf(ids, (id) => this.#watch?.minorOf(id));
  }

  async looked(): Promise<void> {
    await this.#watch?.looked;
  }

  setEnabled(isEnabled: boolean): void {
    if (isEnabled === (this.#watch !== undefined)) return;
    if (isEnabled) {
      const watch: Watch = new Watch(this.#options, this.#patience, () => this.#tell(watch));
      this.#watch = watch;
      watch.begin();
    } else {
      this.#watch?.end().catch(() => undefined); // it never rejects, and nobody waits for it
      this.#watch = undefined;
      this.#news.forget();
    }
    this.#call();
  }

  onChange(listener: () => void): () => void {
    const own = (): void => listener();
    this.#listeners.add(own);
    return () => this.#listeners.delete(own);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#listeners.clear();
    const watch = this.#watch;
    this.#watch = undefined;
    await watch?.end();
  }

  #tell(watch: Watch): void {
    if (watch !== this.#watch) return;
    this.#news.tell(watch);
    this.#call();
  }

  #call(): void {
    for (const listener of [...this.#listeners]) listener();
  }
}

/** One stretch of looking for cards, from on to off. */
class Watch {
  source: GpuMonitor["source"] = "none";
  trouble: string | undefined;
  driverVersion = "";
  readings: readonly GpuReading[] = [];
  readonly looked: Promise<void>;
  readonly #options: GpuMonitorOptions;
  readonly #patience: Patience;
  readonly #onChange: () => void;
  readonly #book: CardBook;
  readonly #stop = new AbortController();
  /** The process that was last started; nothing else is started before it is gone. */
  #gone: Promise<void> = Promise.resolve();
  #loop: Promise<void> = Promise.resolve();
  #shown = "";
  #failures = 0;
  #onLooked: () => void = () => undefined;

  constructor(options: GpuMonitorOptions, patience: Patience, onChange: () => void) {
    this.#options = options;
    this.#patience = patience;
    this.#onChange = onChange;
    const { only = [], surroundings = { env: process.env, isInContainer: false } } = options;
    const lists = only.length > 0 ? [only] : [];
    this.#book = new CardBook(new ChosenCards([...lists, ...surroundingChoice(surroundings)]));
    this.looked = new Promise((resolve) => {
      this.#onLooked = resolve;
    });
  }

  begin(): void {
    this.#loop = this.#run().catch(() => undefined); // it ends by throwing that it was stopped
  }

  async end(): Promise<void> {
    this.#stop.abort(new Error("cards are not looked for any more"));
    this.#onLooked();
    const isOver = Promise.all([this.#loop, this.#gone]);
    const stop = new AbortController();
    await Promise.race([isOver, sleep(CLOSE_MS, stop.signal).catch(() => undefined)]);
    stop.abort();
  }

  minorOf(id: string): number | undefined {
    return this.#book.minorOf(id);
  }

  async #run(): Promise<void> {
    const { signal } = this.#stop;
    for (;;) {
      const ended = await this.#read(signal);
      signal.throwIfAborted();
      let { reason } = ended;
      if (ended.type === "unavailable") {
        const smi = await this.#readBySmi(signal);
        if (smi === undefined) continue;
        reason = `${reason}; ${smi}`;
      }
      this.#failures += 1;
      this.#lose(reason);
      const { firstRetryMs: firstMs, maxRetryMs: maxMs } = this.#patience;
      await sleep(backoffMs({ firstMs, maxMs }, this.#failures, Math.random()), signal);
    }
  }

  /** @returns why the reader is of no use any more. */
  async #read(signal: AbortSignal): Promise<ReaderEnd> {
    await this.#untilGone(signal);
    const { reader: command, pollMs } = this.#options;
    const { firstWordMs, silentMs } = this.#patience;
    const onCards = (report: CardsReport): void => this.#take("nvml", report);
    const running = runReader({ command, pollMs, firstWordMs, silentMs, onCards });
    this.#gone = running.gone;
    const onAbort = (): void => running.abandon();
    signal.addEventListener("abort", onAbort, { once: true });
    try {
      return await running.ended;
    } finally {
      signal.removeEventListener("abort", onAbort);
    }
  }

  /** @returns why `nvidia-smi` is of no use, or `undefined` when it has been used for long enough. */
  async #readBySmi(signal: AbortSignal): Promise<string | undefined> {
    const untilMs = performance.now() + this.#patience.smiForMs;
    for (;;) {
      const answer = await this.#askSmi(signal);
      signal.throwIfAborted();
      if (answer.type === "failed") return answer.reason;
      this.#take("nvidia-smi", answer.report);
      if (performance.now() >= untilMs) return undefined;
      await sleep(this.#options.pollMs, signal);
    }
  }

  async #askSmi(signal: AbortSignal): Promise<SmiAnswer> {
    await this.#untilGone(signal);
    const run = querySmi(this.#options.smi ?? "nvidia-smi", signal);
    this.#gone = run.gone;
    return await run.answer;
  }

  /** A sick driver holds on to a process that was killed; more of them would only pile up. */
  async #untilGone(signal: AbortSignal): Promise<void> {
    const stop = new Promise<void>((resolve) => {
      signal.addEventListener("abort", () => resolve(), { once: true });
    });
    await Promise.race([this.#gone, stop]);
    signal.throwIfAborted();
  }

  #take(source: "nvml" | "nvidia-smi", report: CardsReport): void {
    if (this.#stop.signal.aborted) return;
    this.#failures = 0;
    this.source = source;
    this.driverVersion = report.driver;
    this.#book.take(report);
    this.trouble = this.#book.remark;
    this.#show();
  }

  #lose(reason: string): void {
    this.source = "none";
    this.#book.lose(reason);
    this.trouble = reason;
    this.#show();
  }

  #show(): void {
    this.readings = this.#book.readings();
    this.#onLooked();
    const shown = JSON.stringify([this.source, this.trouble, this.readings]);
    if (shown === this.#shown) return;
    this.#shown = shown;
    this.#onChange();
  }
}
