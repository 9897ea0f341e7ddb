/**
 * How the use of a call was found. `own`: the sandbox's counters before and after, with no other call in it. `shared`: other calls
 * ran in it meanwhile, or ended before the counters were read again; the difference is shared out by the time that each ran.
 * `none`: the counters could not be read.
 */
export type Reading = "own" | "shared" | "none";

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
