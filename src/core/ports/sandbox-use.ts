import type { Reading } from "../receipts/entry.ts";

/** Takes what a measured call has used. */
export interface UseSink {
  /** @param cpuMs and @param peakBytes are NaN where they are not known. */
  measured(token: number, cpuMs: number, peakBytes: number, reading: Reading): void;
}

/** Shares out what a sandbox uses among its calls. Readings are taken behind the answers and serve all calls that ended before. */
export interface SandboxUse {
  /**
   * Asks for the use of a call that has ended. `sink` is told exactly once, later.
   *
   * @param fromMs when it had its slot, and @param toMs when it ended; the clock's milliseconds.
   * @param wasAlone whether no other call had a slot meanwhile.
   */
  measure(fromMs: number, toMs: number, wasAlone: boolean, sink: UseSink, token: number): void;
}
