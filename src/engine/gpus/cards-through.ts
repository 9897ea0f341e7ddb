import type { CardHandover, GpuMonitor, GpuReading } from "../../core/index.ts";

/**
 * The cards of a host as they can be had through one driver: none until it is known whether it can hand them over, and unhealthy,
 * with the reason, if it cannot. The books then offer none, and whoever is refused is told why.
 *
 * @param monitor stays the caller's to dispose.
 */
export function cardsThrough(monitor: GpuMonitor, handover: CardHandover | undefined): GpuMonitor {
  return handover === undefined ? monitor : new CardsThrough(monitor, handover);
}

class CardsThrough implements GpuMonitor {
  readonly #monitor: GpuMonitor;
  readonly #handover: CardHandover;
  readonly #listeners = new Set<() => void>();
  readonly #unsubscribe: readonly (() => void)[];

  constructor(monitor: GpuMonitor, handover: CardHandover) {
    this.#monitor = monitor;
    this.#handover = handover;
    this.#unsubscribe = [
      monitor.onChange(() => {
        this.#offer();
        this.#tell();
      }),
      handover.onChange(() => this.#tell()),
    ];
    this.#offer();
  }

  get source(): GpuMonitor["source"] {
    return this.#isOpen() ? "none" : this.#monitor.source;
  }

  get trouble(): string | undefined {
    return this.#isOpen() ? undefined : this.#monitor.trouble;
  }

  readings(): readonly GpuReading[] {
    if (this.#isOpen()) return [];
    const { answer } = this.#handover;
    const readings = this.#monitor.readings();
    if (answer.type !== "refused") return readings;
    const health = { isHealthy: false, reason: answer.reason } as const;
    return readings.map((reading) => (reading.health.isHealthy ? { ...reading, health } : reading));
  }

  setEnabled(isEnabled: boolean): void {
    this.#monitor.setEnabled(isEnabled);
    this.#offer();
  }

  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  [Symbol.asyncDispose](): Promise<void> {
    for (const end of this.#unsubscribe) end();
    return Promise.resolve();
  }

  /** There are cards, and nobody knows yet whether a task can have them. */
  #isOpen(): boolean {
    return this.#handover.answer.type === "untried" && this.#healthy().length > 0;
  }

  #healthy(): readonly string[] {
    return this.#monitor
      .readings()
      .filter(({ health }) => health.isHealthy)
      .map(({ id }) => id);
  }

  #offer(): void {
    this.#handover.offer(this.#healthy());
  }

  #tell(): void {
    for (const listener of [...this.#listeners]) listener();
  }
}
