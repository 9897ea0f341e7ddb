import { sleep } from "../../../std/index.ts";
import type { Engine } from "../engine/engine.ts";
import { EngineError, isMissing } from "../engine/engine-error.ts";
import { removeLate } from "../remove-late.ts";
import { removeContainer } from "./remove.ts";

/** How long tidying waits for a create or start that is under way before it looks for itself. */
const PATIENCE_MS = 2000;

/** A container that was being made when its start failed. */
export interface HalfMade {
  /** Its name is ours alone, so whatever carries it is what that create has made. */
  readonly name: string;
  readonly created: Promise<string> | undefined;
  readonly started: Promise<void> | undefined;
  /** Aborts when the driver lets go: what is not there by then is no longer waited for. */
  readonly closing: AbortSignal;
}

/**
 * Removes whatever came of a start, also what an engine makes after we have stopped waiting for its answer.
 *
 * @throws EngineError or ExecutorError when the engine would not remove it, or does not answer at all.
 */
export async function removeStarted(
  engine: Engine,
  { name, created, started, closing }: HalfMade,
): Promise<void> {
  const made = await settledWithin(PATIENCE_MS, created);
  // Removing during a start only makes the two wait for each other.
  await settledWithin(PATIENCE_MS, started);
  if (made.type === "done") await removeContainer(engine, made.value);
  else if (made.type === "unknown") await removeLate(() => removeIfThere(engine, name), closing);
}

async function removeIfThere(engine: Engine, name: string): Promise<boolean> {
  try {
    await engine.containers.inspect(name);
  } catch (thrown) {
    if (isMissing(thrown)) return false;
    throw thrown;
  }
  await removeContainer(engine, name);
  return true;
}

type Settled<T> =
  | { readonly type: "done"; readonly value: T }
  /** The engine said no: there is nothing. */
  | { readonly type: "refused" }
  /** It has not answered yet, or its answer broke off. */
  | { readonly type: "unknown" };

async function settledWithin<T>(patienceMs: number, call: Promise<T> | undefined): Promise<Settled<T>> {
  if (call === undefined) return { type: "refused" };
  const settled = call.then(
    (value): Settled<T> => ({ type: "done", value }),
    (thrown: unknown): Settled<T> => ({ type: thrown instanceof EngineError ? "refused" : "unknown" }),
  );
  const stop = new AbortController();
  const unknown: Settled<T> = { type: "unknown" };
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
