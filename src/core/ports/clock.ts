/** Time as a value. The real clock is monotonic; tests drive a virtual one. */
export interface Clock {
  /** Milliseconds since some fixed point, never going back. */
  nowMs(): number;
  /** Milliseconds since the epoch, for records that people read. */
  wallMs(): number;
  /** Calls `fire` once after at least `delayMs`; the returned function cancels it and may be called at any time. */
  after(delayMs: number, fire: () => void): () => void;
}
