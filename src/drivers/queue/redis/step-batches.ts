import { ErrorReply } from "@redis/client";
import type { Base } from "./base.ts";
import { failureOfText } from "./failure.ts";
import type { Place } from "./names.ts";
import { listOf, textOf } from "./replies.ts";
import type { Step } from "./scripts/steps.ts";
import { STEPS } from "./scripts/steps.ts";

/** Redis does nothing else while a script runs. */
const MOST_AT_ONCE = 64;

interface Waiting {
  readonly step: Step;
  resolve(result: unknown): void;
  reject(error: unknown): void;
}

/**
 * Sends steps that are due at the same moment as one: what comes up while an answer is awaited goes together once it is there. A
 * step that is alone does not wait. Steps of one key keep their order.
 */
export class StepBatches {
  readonly #base: Base;
  readonly #waiting = new Map<string, Waiting[]>();

  constructor(base: Base) {
    this.#base = base;
  }

  /**
   * @param key the stream, or list of events, that it is about: a user who may not touch one fails with that one's steps alone.
   * @throws an `ErrorReply`, as if it had been sent alone; what broke the connection.
   */
  run(place: Place, key: string, step: Step): Promise<unknown> {
    return new Promise((resolve, reject) => {
      const one = { step, resolve, reject };
      const waiting = this.#waiting.get(key);
      if (waiting !== undefined) waiting.push(one);
      else {
        this.#waiting.set(key, [one]);
        // What else this turn of the event loop brings comes along.
        setImmediate(() => {
          this.#sendAll(place, key).catch(reject); // each step is told of its own failure
        });
      }
    });
  }

  async #sendAll(place: Place, key: string): Promise<void> {
    const waiting = this.#waiting.get(key) ?? [];
    while (waiting.length > 0) await this.#send(place, key, waiting.splice(0, MOST_AT_ONCE));
    this.#waiting.delete(key);
  }

  async #send(place: Place, key: string, batch: readonly Waiting[]): Promise<void> {
    try {
      const steps = batch.map(({ step }) => step);
      const results = listOf(await this.#base.run(STEPS, place, [key], { steps }));
      for (const [at, one] of batch.entries()) this.#settle(one, listOf(results[at]));
    } catch (error) {
      for (const one of batch) one.reject(error);
    }
  }

  #settle(one: Waiting, [isDone, result]: readonly unknown[]): void {
    if (Number(isDone) === 1) {
      one.resolve(result);
      return;
    }
    const reason = textOf(result);
    // As for any answer that says so: this server will not do.
    if (failureOfText(reason) === "reconnect") this.#base.connection.cut(reason);
    one.reject(new ErrorReply(reason));
  }
}
