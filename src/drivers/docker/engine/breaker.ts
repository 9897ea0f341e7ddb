import { ExecutorError } from "../../../core/index.ts";

/** This many calls in a row without an answer open the breaker. */
const OPENS_AFTER = 2;
/** While open, one call in this time is let through to look. */
const LOOK_EVERY_MS = 1000;

/**
 * Keeps calls from piling up on an engine that has stopped answering:
 *
 *     closed ──(2 deadlines in a row)──► open ──(a look each second answers)──► closed
 *
 * Open, every call fails at once. Nothing runs in the background: the call that comes a second later is the look.
 */
export class Breaker {
  readonly #look: () => Promise<void>;
  readonly #nowMs: () => number;
  #missed = 0;
  #nextLookMs = 0;
  #looking: Promise<void> | undefined;

  /** @param look asks the engine for a sign of life under a short deadline; rejects without one. */
  constructor(look: () => Promise<void>, nowMs: () => number) {
    this.#look = look;
    this.#nowMs = nowMs;
  }

  get isOpen(): boolean {
    return this.#missed >= OPENS_AFTER;
  }

  /**
   * Resolves if a call may be made.
   *
   * @throws {@link ExecutorError} ENGINE_UNAVAILABLE while the engine does not answer.
   */
  async admit(verb: string): Promise<void> {
    if (!this.isOpen) return;
    if (this.#looking === undefined && this.#nowMs() >= this.#nextLookMs) {
      this.#nextLookMs = this.#nowMs() + LOOK_EVERY_MS;
      this.#looking = this.#look().finally(() => {
        this.#looking = undefined;
      });
    }
    const reason = "the engine has stopped answering";
    if (this.#looking === undefined) throw new ExecutorError("ENGINE_UNAVAILABLE", { verb, reason });
    await this.#looking;
  }

  answered(): void {
    this.#missed = 0;
  }

  missed(): void {
    this.#missed += 1;
    this.#nextLookMs = this.#nowMs() + LOOK_EVERY_MS;
  }
}
