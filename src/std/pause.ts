import type { Clock } from "../core/index.ts";

/** Resolves after `ms`, when the signal aborts, or when it is woken; never rejects. */
export function pause(
  clock: Clock,
  ms: number,
  signal: AbortSignal,
  onWakeable?: (wake: (() => void) | undefined) => void,
): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      cancel();
      onWakeable?.(undefined);
      signal.removeEventListener("abort", done);
      resolve();
    };
    const cancel = clock.after(ms, done);
    onWakeable?.(done);
    signal.addEventListener("abort", done, { once: true });
    if (signal.aborted) done();
  });
}
