import type { Clock } from "../../../core/index.ts";
import { pause } from "../../../std/index.ts";

/** What one question how a worker is came to. */
export type Health =
  | { readonly type: "well" }
  | { readonly type: "unwell"; readonly reason: string }
  /** It did not answer. */
  | { readonly type: "silent" };

export interface HealthWatch {
  readonly clock: Clock;
  /** Between two questions. */
  readonly everyMs: number;
  /** Whether it has nothing to do now. */
  isIdle(): boolean;
  /** Never rejects. */
  ask(): Promise<Health>;
}

/** So many questions in a row without an answer, and an idle worker is believed to hang. */
const HUNG_CHECKS = 3;

/**
 * Asks a worker again and again how it is. One that says itself that it is unwell is. One that does not answer may be held up by a
 * function, for which there is a timeout; it is believed to hang when it had nothing to do and stayed silent each time.
 *
 * @returns why it is to be ended; `undefined` once the signal aborts.
 */
export async function untilUnwell(watch: HealthWatch, signal: AbortSignal): Promise<string | undefined> {
  const { clock, everyMs, isIdle } = watch;
  let silent = 0;
  for (;;) {
    await pause(clock, everyMs, signal);
    if (signal.aborted) return undefined;
    const wasIdle = isIdle();
    const health = await watch.ask();
    // Aborted meanwhile: the compiler believes that a signal which was not aborted once never is.
    if (isOver(signal)) return undefined;
    if (health.type === "unwell") return health.reason;
    silent = health.type === "silent" && wasIdle && isIdle() ? silent + 1 : 0;
    if (silent >= HUNG_CHECKS) return `it has not answered ${HUNG_CHECKS} times in a row, with nothing to do`;
  }
}

function isOver(signal: AbortSignal): boolean {
  return signal.aborted;
}
