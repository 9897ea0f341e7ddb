import type { Books, Card, Clock, GpuMonitor, GpuReading, SandboxId, Settings } from "../../core/index.ts";

/** One card, as lists show it. */
export interface GpuView extends Omit<GpuReading, "pids"> {
  /** Nothing here holds it, and it is in use all the same. */
  readonly isBusyOutside: boolean;
  readonly holders: readonly GpuHolder[];
}

export interface GpuHolder {
  readonly sandboxId: SandboxId;
  /** What it booked of the card; 0: the whole of it. */
  readonly memoryBytes: number;
}

/** What a GPU monitor says of itself, for whoever is refused. */
export interface GpuOffer {
  readonly isEnabled: boolean;
  /** Whether there was a reading yet since they were turned on. */
  readonly isKnown: boolean;
  /** Why there are none, or fewer than there were. */
  readonly trouble: string | undefined;
  /** Why one of those that there are cannot be used. */
  readonly unfit: string | undefined;
}

export interface GpuCardsOptions {
  readonly monitor: GpuMonitor;
  readonly books: Books;
  readonly clock: Clock;
  settings(): Settings;
  /** The cards in the books are others than before. */
  onChange(): void;
}

/** A busy reading of a card that was let go of this many readings ago may still be about who let go of it. */
const SETTLE_POLLS = 3;
/** NVML averages over up to a second, and a process that was killed takes a moment to let go. */
const SETTLE_AT_LEAST_MS = 2_000;

/** Keeps the cards in the books as the monitor reads them. */
export class GpuCards implements Disposable {
  readonly #options: GpuCardsOptions;
  /** When cards that nobody holds any more were let go of. */
  readonly #returnedAtMs = new Map<string, number>();
  readonly #unsubscribe: () => void;
  #isConfiguring = false;
  #cancelSettled = (): void => undefined;

  constructor(options: GpuCardsOptions) {
    this.#options = options;
    const { monitor } = options;
    monitor.setEnabled(options.settings().hasGpu);
    this.#unsubscribe = monitor.onChange(() => {
      this.refresh();
      if (!this.#isConfiguring) options.onChange();
    });
    this.refresh();
  }

  get offer(): GpuOffer {
    const { source, trouble } = this.#options.monitor;
    if (!this.#options.settings().hasGpu) {
      return { isEnabled: false, isKnown: true, trouble: undefined, unfit: undefined };
    }
    const unfit = whyUnfit(this.#readings());
    return { isEnabled: true, isKnown: source !== "none" || trouble !== undefined, trouble, unfit };
  }

  /** Models of all cards, each once; empty if there are none. */
  get model(): string {
    return [...new Set(this.#readings().map((reading) => reading.model))].join(", ");
  }

  /** The settings changed. Whoever changes them looks after everything else by itself. */
  configure(): void {
    this.#isConfiguring = true;
    this.#options.monitor.setEnabled(this.#options.settings().hasGpu);
    this.#isConfiguring = false;
    this.refresh();
  }

  /** Brings the books up to date: a reading came, or a holder let go of cards. */
  refresh(): void {
    const { books, clock } = this.#options;
    const nowMs = clock.nowMs();
    for (const id of books.takeReturnedCards()) this.#returnedAtMs.set(id, nowMs);
    const { sharesGpus } = this.#options.settings();
    books.setCards(
      this.#readings().map((reading) => this.#cardOf(reading, nowMs)),
      sharesGpus,
    );
    this.#armSettled(nowMs);
  }

  view(): readonly GpuView[] {
    const { cards, holds } = this.#options.books.rack;
    const busy = new Set(cards.filter((card) => card.use === "busy").map((card) => card.id));
    return this.#readings().map(({ pids: _, ...reading }) => {
      const holders = (holds.get(reading.id) ?? []).map(({ holder, memoryBytes }) => ({
        sandboxId: holder as SandboxId,
        memoryBytes,
      }));
      return { ...reading, isBusyOutside: holders.length === 0 && busy.has(reading.id), holders };
    });
  }

  [Symbol.dispose](): void {
    this.#unsubscribe();
    this.#cancelSettled();
  }

  /** The monitor may take a moment to stop, or hang: what is switched off is not there. */
  #readings(): readonly GpuReading[] {
    return this.#options.settings().hasGpu ? this.#options.monitor.readings() : [];
  }

  #cardOf(reading: GpuReading, nowMs: number): Card {
    const { id, memoryBytes, memoryUsedBytes, health } = reading;
    const freeMemoryBytes = Math.max(0, memoryBytes - memoryUsedBytes);
    return {
      id,
      memoryBytes,
      freeMemoryBytes,
      isHealthy: health.isHealthy,
      use: this.#useOf(reading, nowMs),
    };
  }

  #useOf({ id, computePercent, memoryBytes, memoryUsedBytes }: GpuReading, nowMs: number): Card["use"] {
    const { gpuBusyPercent } = this.#options.settings();
    const memoryPercent = memoryBytes === 0 ? 0 : (memoryUsedBytes / memoryBytes) * 100;
    if (computePercent <= gpuBusyPercent && memoryPercent <= gpuBusyPercent) return "free";
    const returnedAtMs = this.#returnedAtMs.get(id);
    const isSettling = returnedAtMs !== undefined && nowMs - returnedAtMs < this.#settleMs();
    return isSettling ? "settling" : "busy";
  }

  #settleMs(): number {
    return Math.max(SETTLE_AT_LEAST_MS, SETTLE_POLLS * this.#options.settings().gpuPollMs);
  }

  /** A reading that stays the same is not told: the end of the waiting for another one has to be noticed here. */
  #armSettled(nowMs: number): void {
    this.#cancelSettled();
    const settleMs = this.#settleMs();
    let dueMs = Number.POSITIVE_INFINITY;
    for (const [id, returnedAtMs] of this.#returnedAtMs) {
      if (nowMs - returnedAtMs >= settleMs) this.#returnedAtMs.delete(id);
      else dueMs = Math.min(dueMs, returnedAtMs + settleMs);
    }
    if (dueMs === Number.POSITIVE_INFINITY) return;
    this.#cancelSettled = this.#options.clock.after(dueMs - nowMs, () => {
      this.refresh();
      this.#options.onChange();
    });
  }
}

/** Why cards cannot be used: what all have in common, or else the first one's reason. */
function whyUnfit(readings: readonly GpuReading[]): string | undefined {
  const faults = readings.flatMap(({ index, health }) =>
    health.isHealthy ? [] : [{ index, reason: health.reason }],
  );
  const [first] = faults;
  if (first === undefined) return undefined;
  const isOfAll = faults.length === readings.length && faults.every(({ reason }) => reason === first.reason);
  return isOfAll ? first.reason : `card ${first.index} cannot be used (${first.reason})`;
}
