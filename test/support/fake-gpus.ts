import type { GpuMonitor, GpuReading } from "../../src/core/index.ts";

export const GIBIBYTE = 1_073_741_824;

/** One idle, healthy card. */
export function card(index: number, more: Partial<GpuReading> = {}): GpuReading {
  return {
    id: `GPU-${index}`,
    index,
    model: "Test 24G",
    memoryBytes: 24 * GIBIBYTE,
    memoryUsedBytes: 0,
    computePercent: 0,
    health: { isHealthy: true },
    pids: [],
    ...more,
  };
}

/** A monitor whose readings a test writes. Like the real one it shows nothing while it is switched off. */
export class FakeGpus implements GpuMonitor {
  source: GpuMonitor["source"] = "nvml";
  trouble: string | undefined;
  isEnabled = false;
  #cards: readonly GpuReading[];
  readonly #listeners = new Set<() => void>();

  constructor(cards: readonly GpuReading[] = []) {
    this.#cards = cards;
  }

  get listeners(): number {
    return this.#listeners.size;
  }

  readings(): readonly GpuReading[] {
    return this.isEnabled ? this.#cards : [];
  }

  setEnabled(isEnabled: boolean): void {
    if (isEnabled === this.isEnabled) return;
    this.isEnabled = isEnabled;
    this.#tell();
  }

  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** The next reading. One that says what the last one said is not told, as the port promises. */
  read(cards: readonly GpuReading[]): void {
    const isSame = JSON.stringify(cards) === JSON.stringify(this.#cards);
    this.#cards = cards;
    if (!isSame) this.#tell();
  }

  /** Changes one card in the next reading. */
  change(index: number, more: Partial<GpuReading>): void {
    this.read(this.#cards.map((one) => (one.index === index ? { ...one, ...more } : one)));
  }

  /** The driver fails, or hangs: every card is unhealthy until the next `heal`. */
  fail(reason: string): void {
    this.source = "none";
    this.trouble = reason;
    this.read(this.#cards.map((one) => ({ ...one, health: { isHealthy: false, reason } })));
  }

  heal(): void {
    this.source = "nvml";
    this.trouble = undefined;
    this.read(this.#cards.map((one) => ({ ...one, health: { isHealthy: true } })));
  }

  [Symbol.asyncDispose](): Promise<void> {
    return Promise.resolve();
  }

  #tell(): void {
    for (const listener of [...this.#listeners]) listener();
  }
}
