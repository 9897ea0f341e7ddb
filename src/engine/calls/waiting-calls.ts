import type { UseSink } from "../../core/index.ts";

/** Numbers of one call: from when to when it ran, its token, and whether it was alone. */
const NUMBERS = 4;
const FIRST_CALLS = 64;

/** Calls that wait for a reading, in plain numbers: there may be thousands, and none is to be made and collected. */
export class WaitingCalls {
  count = 0;
  #numbers = new Float64Array(FIRST_CALLS * NUMBERS);
  readonly #sinks: UseSink[] = [];

  add(fromMs: number, toMs: number, wasAlone: boolean, sink: UseSink, token: number): void {
    const at = this.count * NUMBERS;
    if (at === this.#numbers.length) this.#grow();
    const numbers = this.#numbers;
    numbers[at] = fromMs;
    numbers[at + 1] = toMs;
    numbers[at + 2] = token;
    numbers[at + 3] = wasAlone ? 1 : 0;
    this.#sinks[this.count] = sink;
    this.count += 1;
  }

  fromMs(index: number): number {
    return this.#numbers[index * NUMBERS] ?? 0;
  }

  toMs(index: number): number {
    return this.#numbers[index * NUMBERS + 1] ?? 0;
  }

  token(index: number): number {
    return this.#numbers[index * NUMBERS + 2] ?? 0;
  }

  wasAlone(index: number): boolean {
    return this.#numbers[index * NUMBERS + 3] === 1;
  }

  /** @throws TypeError beyond `count`. */
  sink(index: number): UseSink {
    const sink = this.#sinks[index];
    if (sink === undefined) throw new TypeError("no such call waits");
    return sink;
  }

  /** Forgets them all, and lets go of their sinks; the memory stays for the next ones. */
  clear(): void {
    this.count = 0;
    this.#sinks.length = 0;
  }

  #grow(): void {
    const grown = new Float64Array(this.#numbers.length * 2);
    grown.set(this.#numbers);
    this.#numbers = grown;
  }
}
