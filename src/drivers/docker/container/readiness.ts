import type { Endpoint } from "../../../core/index.ts";
import type { Engine } from "../engine/engine.ts";
import { LogFrames } from "../engine/log-frames.ts";
import type { Watch } from "./deaths.ts";
import { acceptsFor, untilAccepts } from "./port-probe.ts";
import { READY_MARK, ReadyMark } from "./ready-mark.ts";
import { EndedEarly } from "./start-failure.ts";

/** An image that never prints the mark is ready when its port has accepted for this long. */
const STEADY_MS = 2000;

/** Waits until a container's server is ready: it printed the mark *and* its port accepts, in either order. */
export class Readiness {
  readonly #engine: Engine;
  readonly #containerId: string;
  readonly #watch: Watch;
  readonly #isProxied: boolean;

  constructor(engine: Engine, containerId: string, watch: Watch, isProxied: boolean) {
    this.#engine = engine;
    this.#containerId = containerId;
    this.#watch = watch;
    this.#isProxied = isProxied;
  }

  /**
   * @param started settles when the engine has started the container; there is no output to read before.
   * @returns what an operator should know about how it came up.
   * @throws EndedEarly as soon as the container ends; the signal's reason.
   */
  async until(endpoint: Endpoint, started: Promise<void>, signal: AbortSignal): Promise<readonly string[]> {
    // Its own signal: whatever still waits when the first one is done must stop with it.
    const stop = new AbortController();
    const onAbort = (): void => stop.abort(signal.reason);
    signal.addEventListener("abort", onAbort, { once: true });
    if (signal.aborted) onAbort();
    try {
      const ended = this.#watch.ended.then((end): never => {
        throw new EndedEarly(end);
      });
      return await Promise.race([this.#wait(endpoint, started, stop.signal), ended]);
    } finally {
      signal.removeEventListener("abort", onAbort);
      stop.abort(new Error("no longer awaited"));
    }
  }

  async #wait(endpoint: Endpoint, started: Promise<void>, signal: AbortSignal): Promise<readonly string[]> {
    const options = { isProxied: this.#isProxied };
    const marked = this.#untilMarked(started, signal);
    await Promise.race([untilAccepts(endpoint, options, signal), failureOf(started)]);
    const steady = acceptsFor(endpoint, options, STEADY_MS, signal).then(() => "steady" as const);
    const first = await Promise.race([marked, steady]);
    if (first === "marked") return [];
    return [`the task accepts connections but never printed "${READY_MARK}"`];
  }

  /** Resolves when the mark is printed; never otherwise, because a log that breaks off says nothing about the task. */
  async #untilMarked(started: Promise<void>, signal: AbortSignal): Promise<"marked"> {
    const mark = new ReadyMark();
    try {
      await started;
      const stream = await this.#engine.containers.openLog(this.#containerId, {}, { signal });
      const onAbort = (): void => {
        stream.destroy();
      };
      signal.addEventListener("abort", onAbort, { once: true });
      if (signal.aborted) onAbort();
      const frames = new LogFrames({ onPayload: (name, payload) => mark.see(name, payload) });
      for await (const chunk of stream) {
        frames.push(chunk as Buffer);
        if (mark.isFound) return "marked";
      }
    } catch {
      // Told by whoever else waits: the start's own failure, the end of the container, or the port that goes on accepting.
    }
    return await new Promise(() => undefined);
  }
}

/** Rejects as the promise does; never resolves. */
async function failureOf(promise: Promise<unknown>): Promise<never> {
  await promise;
  return await new Promise(() => undefined);
}
