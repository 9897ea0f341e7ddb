import type { Clock, GpuMonitor } from "../../core/index.ts";
import { pause } from "../../std/index.ts";

export interface CardPatience {
  readonly clock: Clock;
  /** A driver that hangs is not waited for any longer, in milliseconds. */
  readonly deadlineMs: number;
  readonly signal: AbortSignal;
}

/**
 * Resolves once it is known which cards this host has, be it that it has none; at once where nobody wants any. Never rejects: at
 * the deadline, or when the signal aborts, it resolves all the same.
 */
export async function untilCardsKnown(
  cards: GpuMonitor,
  isWanted: () => boolean,
  { clock, deadlineMs, signal }: CardPatience,
): Promise<void> {
  const isKnown = (): boolean => !isWanted() || cards.source !== "none" || cards.trouble !== undefined;
  if (isKnown()) return;
  let wake: (() => void) | undefined;
  const unsubscribe = cards.onChange(() => {
    if (isKnown()) wake?.();
  });
  try {
    await pause(clock, deadlineMs, signal, (one) => {
      wake = one;
    });
  } finally {
    unsubscribe();
  }
}
