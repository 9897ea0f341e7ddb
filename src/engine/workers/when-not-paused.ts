import { ExecutorError } from "../../core/index.ts";
import { pause } from "../../std/index.ts";
import type { JobRequest } from "../jobs/jobs.ts";
import type { WorkerRooms } from "./start-worker.ts";

const PAUSED_MS = 1_000;

/**
 * Waits for the end of a pause of the executor, on the list of what waits.
 *
 * @throws what `start` throws, but for PAUSED; the signal's reason.
 */
export async function whenNotPaused<T>(
  jobs: WorkerRooms,
  request: JobRequest,
  signal: AbortSignal,
  start: () => Promise<T>,
): Promise<T> {
  const { clock } = jobs.host.engine;
  const sinceMs = clock.nowMs();
  for (;;) {
    try {
      return await start();
    } catch (error) {
      if (!(error instanceof ExecutorError) || error.code !== "PAUSED") throw error;
    }
    await jobs.heldBack({ request, sinceMs }, pause(clock, PAUSED_MS, signal));
    signal.throwIfAborted();
  }
}
