import { constants } from "node:os";

/** How a process ended: one of the two is there, or neither where nobody saw it end. */
export interface ExitStatus {
  readonly code: number | null;
  readonly signal: string | null;
}

/** Of a process whose parent is gone. */
export const UNSEEN: ExitStatus = { code: null, signal: null };

/** @see wait(2): the signal is in the low seven bits, the code in the next byte. */
export function exitStatusOf(status: number): ExitStatus {
  const signal = status & 0x7f;
  if (signal === 0) return { code: (status >> 8) & 0xff, signal: null };
  return { code: null, signal: signalName(signal) ?? `SIG${signal}` };
}

export function signalName(number: number): string | undefined {
  return Object.entries(constants.signals).find(([, value]) => value === number)?.[0];
}
