import { sleep } from "../../../std/index.ts";
import type { Engine } from "../engine/engine.ts";
import { isMissing, mayStillCome } from "../engine/engine-error.ts";
import { removeLate, untilAnswered } from "../remove-late.ts";
import type { ContainerBody } from "./container-body.ts";
import { removeContainer } from "./remove.ts";

/** How long tidying waits for a create or start that is under way before it looks for itself. */
const PATIENCE_MS = 2000;

/** One container of ours, from its create to its start; and its removal, whatever has come of those. */
export class Making {
  readonly #engine: Engine;
  readonly #name: string;
  readonly #closing: AbortSignal;
  readonly #unwanted = new AbortController();
  #created: Promise<string> | undefined;
  #started: Promise<void> | undefined;

  /**
   * @param name ours alone, so that whatever carries it is what this create has made.
   * @param closing aborts when the driver lets go: what is not there soon after that is no longer waited for.
   */
  constructor(engine: Engine, name: string, closing: AbortSignal) {
    this.#engine = engine;
    this.#name = name;
    this.#closing = closing;
  }

  /** @returns its id. @throws EngineError; ExecutorError ENGINE_UNAVAILABLE. */
  create(body: ContainerBody): Promise<string> {
    this.#created = this.#engine.containers.create(this.#name, body, { unwanted: this.#unwanted.signal });
    return this.#created;
  }

  /** @throws EngineError; ExecutorError ENGINE_UNAVAILABLE. */
  start(containerId: string): Promise<void> {
    this.#started = this.#engine.containers.start(containerId);
    return this.#started;
  }

  /**
   * Removes whatever has come of it, also what an engine makes after we have stopped waiting for its answer. What has not been asked
   * for yet is not asked for any more.
   *
   * @throws EngineError when the engine would not remove it; ExecutorError ENGINE_UNAVAILABLE when the driver closes and it does not answer.
   */
  async remove(): Promise<void> {
    this.#unwanted.abort();
    const made = await settledWithin(PATIENCE_MS, this.#created);
    // Removing during a start only makes the two wait for each other.
    await settledWithin(PATIENCE_MS, this.#started);
    if (made.type === "nothing") return;
    const { value: containerId } = made;
    if (containerId === undefined) await removeLate(() => this.#removeIfThere(), this.#closing);
    else await untilAnswered(() => removeContainer(this.#engine, containerId), this.#closing);
  }

  async #removeIfThere(): Promise<boolean> {
    try {
      await this.#engine.containers.inspect(this.#name);
    } catch (thrown) {
      if (isMissing(thrown)) return false;
      throw thrown;
    }
    await removeContainer(this.#engine, this.#name);
    return true;
  }
}

type Settled<T> =
  /** Never asked for, or refused. */
  | { readonly type: "nothing" }
  /** `undefined`: no answer yet, or none any more. */
  | { readonly type: "perhaps"; readonly value: T | undefined };

async function settledWithin<T>(patienceMs: number, call: Promise<T> | undefined): Promise<Settled<T>> {
  if (call === undefined) return { type: "nothing" };
  const unknown: Settled<T> = { type: "perhaps", value: undefined };
  const settled = call.then(
    (value): Settled<T> => ({ type: "perhaps", value }),
    (thrown: unknown): Settled<T> => (mayStillCome(thrown) ? unknown : { type: "nothing" }),
  );
  const stop = new AbortController();
  const tired = sleep(patienceMs, stop.signal).then(
    () => unknown,
    () => unknown, // no longer waited for
  );
  try {
    return await Promise.race([settled, tired]);
  } finally {
    stop.abort();
  }
}
