import { ExecutorError } from "../../core/index.ts";
import { backoffMs, sleep } from "../../std/index.ts";

/** The pauses before each look: how long an engine that answers may still be at a create whose answer got lost. */
const PAUSES_MS = [0, 1000, 5000, 20_000, 60_000] as const;
/** Between looks at an engine that does not answer; they count for nothing, for it will go on where it stopped. */
const AWAY = { firstMs: 1000, maxMs: 60_000 } as const;

/**
 * Removes what an engine may still make although its answer to a create got lost. Resolves when that is gone, or when an engine
 * that answers has not made it for 86 s. Once `closing` aborts it looks one last time, and leaves the rest to the next life.
 *
 * @param remove looks, and removes what it finds; resolves to whether there was anything.
 * @throws what the last look has thrown.
 */
export async function removeLate(remove: () => Promise<boolean>, closing: AbortSignal): Promise<void> {
  let away = 0;
  for (let looks = 0; looks < PAUSES_MS.length; ) {
    await pause(away > 0 ? backoffMs(AWAY, away, Math.random()) : (PAUSES_MS[looks] ?? 0), closing);
    const isLast = looks === PAUSES_MS.length - 1;
    const isClosing = closing.aborted;
    try {
      if (await remove()) return;
      away = 0;
      looks += 1;
    } catch (thrown) {
      const isAway = thrown instanceof ExecutorError && thrown.code === "ENGINE_UNAVAILABLE";
      if (isClosing || (isLast && !isAway)) throw thrown;
      if (isAway) away += 1;
      else looks += 1;
    }
    if (isClosing) return;
  }
}

async function pause(ms: number, closing: AbortSignal): Promise<void> {
  try {
    await sleep(ms, closing);
  } catch {
    // Closing: what there is to do is done now.
  }
}
