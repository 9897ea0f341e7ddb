import type { GpuReading, Log } from "../../core/index.ts";

/** What there is to tell at one moment. */
export interface CardState {
  readonly source: string;
  readonly driverVersion: string;
  readonly trouble: string | undefined;
  readonly readings: readonly GpuReading[];
}

/** Logs what became of the cards: each change once, not each reading. */
export class CardNews {
  readonly #log: Log | undefined;
  readonly #reasons = new Map<string, string | undefined>();
  #trouble: string | undefined;

  constructor(log: Log | undefined) {
    this.#log = log;
  }

  tell(state: CardState): void {
    this.#tellTrouble(state);
    const fresh = state.readings.filter(({ id }) => !this.#reasons.has(id));
    if (fresh.length > 0) {
      const cards = fresh.map(({ id, index, model }) => ({ gpu: id, index, model }));
      this.#log?.log("info", "gpu.found", { source: state.source, driver: state.driverVersion, cards });
    }
    for (const reading of state.readings) this.#tellHealth(reading);
  }

  /** The next watch is news again. */
  forget(): void {
    this.#reasons.clear();
    this.#trouble = undefined;
  }

  #tellTrouble({ trouble }: CardState): void {
    if (trouble !== undefined && trouble !== this.#trouble) {
      this.#log?.log("warn", "gpu.lost", { reason: trouble });
    }
    this.#trouble = trouble;
  }

  #tellHealth({ id, index, model, health }: GpuReading): void {
    const before = this.#reasons.get(id);
    const now = health.isHealthy ? undefined : health.reason;
    this.#reasons.set(id, now);
    const facts = { gpu: id, index, model };
    if (now !== undefined && now !== before) this.#log?.log("warn", "gpu.lost", { ...facts, reason: now });
    if (now === undefined && before !== undefined) this.#log?.log("info", "gpu.regained", facts);
  }
}
