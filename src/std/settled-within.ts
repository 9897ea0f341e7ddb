import type { Clock } from "../core/index.ts";
import { systemClock } from "./system-clock.ts";

/**
 * Waits for work that may never end, for `ms` milliseconds at most. The timer goes with it: one that is left behind keeps a process
 * alive that has nothing else to do.
 *
 * @throws what the work rejects with in that time.
 */
export async function settledWithin(
  work: Promise<unknown>,
  ms: number,
  clock: Clock = systemClock,
): Promise<void> {
  let cancel = (): void => undefined;
  const late = new Promise<void>((resolve) => {
    cancel = clock.after(ms, resolve);
  });
  await Promise.race([work, late]).finally(cancel);
}
