import { backoffMs, sleep } from "../../std/index.ts";
import { isAway, mayStillCome } from "./engine/engine-error.ts";

/** The pauses before each look: how long an engine that answers may still be at a create whose answer got lost. */
const PAUSES_MS = [0, 1000, 5000, 20_000, 60_000] as const;
/** The same once the driver lets go. */
const CLOSING_PAUSES_MS = [0, 500, 1500] as const;
/** Between two questions to an engine that does not answer. */
const AWAY = { firstMs: 1000, maxMs: 60_000 } as const;
/** Questions that an engine leaves unanswered before it counts as one that will. */
const MOST_MISSES = 3;

/**
 * Removes what an engine may still make although its answer to a create got lost. Resolves when that is gone, or when an engine
 * that answers has not made it for 86 s; once `closing` aborts, for 2 s more: the rest is left to the next life.
 *
 * @param remove looks, and removes what it finds; resolves to whether there was anything.
 * @throws what the last look has thrown.
 */
export async function removeLate(remove: () => Promise<boolean>, closing: AbortSignal): Promise<void> {
  if (await hasRemoved(PAUSES_MS, remove, closing)) return;
  if (closing.aborted) await hasRemoved(CLOSING_PAUSES_MS, remove, undefined);
}

/** Looks after each pause until there was something, or `closing` aborts. A look that fails is one; the last one's failure counts. */
async function hasRemoved(
  pausesMs: readonly number[],
  remove: () => Promise<boolean>,
  closing: AbortSignal | undefined,
): Promise<boolean> {
  const isOver = (): boolean => closing?.aborted === true;
  for (const [at, pauseMs] of pausesMs.entries()) {
    await pause(pauseMs, closing);
    if (isOver()) return false;
    try {
      if (await untilAnswered(remove, closing ?? AbortSignal.abort())) return true;
    } catch (thrown) {
      if (!isOver() && at === pausesMs.length - 1) throw thrown;
    }
  }
  return false;
}

/**
 * Does it again while there is no engine to be asked, however long that takes, until `closing` aborts. An engine that is there and does
 * not answer this is asked a few times.
 */
export async function untilAnswered<T>(work: () => Promise<T>, closing: AbortSignal): Promise<T> {
  let misses = 0;
  for (let failures = 1; ; failures += 1) {
    try {
      return await work();
    } catch (thrown) {
      if (mayStillCome(thrown)) misses += 1;
      if (closing.aborted || misses >= MOST_MISSES || !isAway(thrown)) throw thrown;
      await pause(backoffMs(AWAY, failures, Math.random()), closing);
    }
  }
}

async function pause(ms: number, closing: AbortSignal | undefined): Promise<void> {
  try {
    await sleep(ms, closing);
  } catch {
    // Closing: what there is to do is done now.
  }
}
