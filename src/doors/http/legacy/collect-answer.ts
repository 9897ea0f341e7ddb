import { type AnswerHead, ExecutorError } from "../../../core/index.ts";
import type { ByteBudget } from "../body/byte-budget.ts";

/** Below this an answer is not worth counting. */
const UNCOUNTED_BYTES = 64 * 1024;

/** Holds one answer's body as it comes, within a limit of its own and a budget that all of them share. */
export class AnswerCollector {
  readonly #limitBytes: number;
  readonly #budget: ByteBudget;
  /** Room for an answer whose length was declared. */
  #whole: Buffer | undefined;
  #parts: Buffer[] = [];
  #size = 0;
  #counted = 0;

  constructor(limitBytes: number, budget: ByteBudget) {
    this.#limitBytes = limitBytes;
    this.#budget = budget;
  }

  /** @throws {@link ExecutorError} ANSWER_TOO_LARGE when the declared length is above what may be held. */
  expect({ contentLength }: AnswerHead): void {
    if (contentLength === undefined || contentLength <= UNCOUNTED_BYTES) return;
    this.#count(contentLength);
    this.#whole = Buffer.allocUnsafeSlow(contentLength);
  }

  /** Copies the chunk. @throws {@link ExecutorError} ANSWER_TOO_LARGE. */
  add(chunk: Uint8Array): void {
    if (this.#whole !== undefined) {
      this.#whole.set(chunk, this.#size);
      this.#size += chunk.byteLength;
      return;
    }
    this.#size += chunk.byteLength;
    if (this.#size > UNCOUNTED_BYTES) this.#count(this.#size);
    this.#parts.push(Buffer.from(chunk));
  }

  /** Everything so far, as one. */
  take(): Buffer {
    const [first] = this.#parts;
    if (this.#whole !== undefined) return this.#whole.subarray(0, this.#size);
    return this.#parts.length === 1 && first !== undefined ? first : Buffer.concat(this.#parts);
  }

  /** Gives back what was counted; nothing is held any more. */
  drop(): void {
    this.#budget.give(this.#counted);
    this.#counted = 0;
    this.#whole = undefined;
    this.#parts = [];
  }

  #count(total: number): void {
    if (total > this.#limitBytes)
      throw new ExecutorError("ANSWER_TOO_LARGE", { limitBytes: this.#limitBytes });
    if (!this.#budget.take(total - this.#counted)) {
      throw new ExecutorError("ANSWER_TOO_LARGE", { reason: "too many large answers are held at once" });
    }
    this.#counted = total;
  }
}
