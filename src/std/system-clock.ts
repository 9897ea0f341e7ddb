import type { Clock } from "../core/index.ts";

/** Node fires a timer above this at once instead of late. */
const LONGEST_TIMER_MS = 2_147_483_647;

/** The real clock. Its timers keep the process alive until they fire or are cancelled. */
export const systemClock: Clock = {
  nowMs: () => performance.now(),
  wallMs: () => Date.now(),
  after(delayMs, fire) {
    const dueMs = performance.now() + delayMs;
    let timer: NodeJS.Timeout;
    const arm = (): void => {
      const leftMs = dueMs - performance.now();
      timer =
        leftMs > LONGEST_TIMER_MS
          ? setTimeout(arm, LONGEST_TIMER_MS)
          : setTimeout(fire, Math.max(0, Math.ceil(leftMs)));
    };
    arm();
    return () => clearTimeout(timer);
  },
};
