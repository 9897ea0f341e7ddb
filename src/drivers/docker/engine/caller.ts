import { Readable } from "node:stream";
import { ExecutorError } from "../../../core/index.ts";
import { orAbort, retry, systemClock, withDeadline } from "../../../std/index.ts";
import { Breaker } from "./breaker.ts";
import { EngineError, isLostReply, isStumble, NotAsked, toEngineFailure } from "./engine-error.ts";
import { Turnstile } from "./turnstile.ts";

export const VERB_DEADLINE_MS = 10_000;
/** Create and start do real work in the engine, and several of them share its locks. */
export const HEAVY_VERB_DEADLINE_MS = 60_000;
export const LOOK_DEADLINE_MS = 2000;
/** A hung engine holds at most this many of our calls until the breaker opens. */
const MAX_CALLS = 256;
/**
 * What engines do one after the other under a lock of theirs: more at once gains nothing, and what would wait for that lock
 * waits here instead, where it is not yet on its deadline.
 */
const AT_ONCE: Readonly<Record<string, number>> = {
  create: 16,
  start: 16,
  remove: 8,
  "network create": 3,
  "network remove": 3,
};
/** How often a call that changes nothing is asked again when the engine stumbles or its answer gets lost. */
const READ_TRIES = { tries: 3, firstMs: 50, maxMs: 500 } as const;
const NEVER = new AbortController().signal;

export interface CallOptions {
  /** Default: {@link VERB_DEADLINE_MS}. */
  readonly deadlineMs?: number;
  /** The caller's own wish to give up; its reason is what the call rejects with. */
  readonly signal?: AbortSignal | undefined;
  /** Once it aborts nobody wants the work any more: if it has not been asked for yet, it never is. */
  readonly unwanted?: AbortSignal | undefined;
}

/** Makes every call to the engine: one deadline each, one breaker for all, and errors sorted. */
export class EngineCaller {
  readonly #breaker: Breaker;
  readonly #turnstiles = new Map(
    Object.entries(AT_ONCE).map(([verb, atOnce]) => [verb, new Turnstile(atOnce)]),
  );
  #calls = 0;

  /** @param ping asks for a sign of life; it may ignore its signal. */
  constructor(ping: (abortSignal: AbortSignal) => Promise<unknown>) {
    this.#breaker = new Breaker(() => this.look(ping), systemClock.nowMs);
  }

  /**
   * @param run makes the call; the signal it gets closes the connection, and `call` does not wait for it to obey.
   * @throws EngineError when the engine refuses; {@link ExecutorError} ENGINE_UNAVAILABLE when it does not answer.
   */
  async call<T>(
    verb: string,
    run: (abortSignal: AbortSignal) => Promise<T>,
    options: CallOptions = {},
  ): Promise<T> {
    const turnstile = this.#turnstiles.get(verb);
    if (turnstile === undefined) return await this.#admit(verb, run, options);
    return await turnstile.pass(() => this.#admit(verb, run, options));
  }

  async #admit<T>(
    verb: string,
    run: (abortSignal: AbortSignal) => Promise<T>,
    options: CallOptions,
  ): Promise<T> {
    options.signal?.throwIfAborted();
    if (this.#breaker.isOpen) await this.#untilOpen(verb);
    if (this.#calls >= MAX_CALLS) throw new NotAsked(verb, "too many calls wait for the engine");
    if (options.unwanted?.aborted === true) throw new NotAsked(verb, "nobody wants it any more");
    return await this.#run(verb, run, options);
  }

  async #untilOpen(verb: string): Promise<void> {
    try {
      await this.#breaker.admit(verb);
    } catch (thrown) {
      throw new NotAsked(
        verb,
        thrown instanceof ExecutorError ? String(thrown.facts["reason"]) : String(thrown),
      );
    }
  }

  /** As `call`, for what changes nothing in the engine: asked again when the engine stumbles or its answer gets lost. */
  async read<T>(
    verb: string,
    run: (abortSignal: AbortSignal) => Promise<T>,
    options: CallOptions = {},
  ): Promise<T> {
    const isWorthRetrying = (thrown: unknown): boolean => isStumble(thrown) || isLostReply(thrown);
    return await retry({ ...READ_TRIES, signal: options.signal ?? NEVER, isWorthRetrying }, () =>
      this.call(verb, run, options),
    );
  }

  /** A call that asks whether the engine lives: made even when nothing else is. */
  async look(run: (abortSignal: AbortSignal) => Promise<unknown>, signal?: AbortSignal): Promise<void> {
    await this.#run("ping", run, { deadlineMs: LOOK_DEADLINE_MS, signal });
  }

  async #run<T>(
    verb: string,
    run: (abortSignal: AbortSignal) => Promise<T>,
    { deadlineMs = VERB_DEADLINE_MS, signal }: CallOptions,
  ): Promise<T> {
    const missed = new ExecutorError("ENGINE_UNAVAILABLE", {
      verb,
      reason: `no answer within ${deadlineMs} ms`,
    });
    this.#calls += 1;
    try {
      const answer = await withDeadline(
        { ms: deadlineMs, code: "ENGINE_UNAVAILABLE", facts: missed.facts, parent: signal },
        // The library calls nobody back when an answer breaks off in its middle: the deadline must not depend on it.
        (abortSignal) => orAbort(run(abortSignal), abortSignal, destroyLate),
      );
      this.#breaker.answered();
      return answer;
    } catch (thrown) {
      if (signal?.aborted === true && thrown === signal.reason) throw thrown;
      const failure = toEngineFailure(verb, thrown);
      if (failure instanceof EngineError) this.#breaker.answered();
      else if (failure instanceof ExecutorError && failure.facts["reason"] === missed.facts["reason"]) {
        this.#breaker.missed();
      }
      throw failure;
    } finally {
      this.#calls -= 1;
    }
  }
}

/** A stream that comes after its caller has given up would stay open with nobody to read it. */
function destroyLate(answer: unknown): void {
  if (answer instanceof Readable) answer.destroy();
}
