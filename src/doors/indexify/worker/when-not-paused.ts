import type { Clock } from "../../../core/index.ts";
import { ExecutorError } from "../../../core/index.ts";
import { pause } from "../../../std/index.ts";

const PAUSED_MS = 1_000;

/**
 * Waits for the end of a pause of the executor: the server would take a refusal for a broken function.
 *
 * @throws what `start` throws, but for PAUSED; the signal's reason.
 */
export async function whenNotPaused<T>(
  clock: Clock,
  signal: AbortSignal,
  start: () => Promise<T>,
): Promise<T> {
  for (;;) {
    try {
      return await start();
    } catch (error) {
      if (!(error instanceof ExecutorError) || error.code !== "PAUSED") throw error;
    }
    await pause(clock, PAUSED_MS, signal);
    signal.throwIfAborted();
  }
}
