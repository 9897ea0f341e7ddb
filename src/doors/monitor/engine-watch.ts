import type { DriverHealth } from "../../core/index.ts";
import { ExecutorError } from "../../core/index.ts";
import { withDeadline } from "../../std/index.ts";

const DEADLINE_MS = 2_000;
/** Probes may come often; the engine is asked at most once per this long, and never while nobody asks. */
const FRESH_MS = 1_000;

/** What is known of the engine's health. */
export interface EngineWatch {
  /** Asks the engine unless that was done within the last second; callers at once share one question. */
  ask(): Promise<DriverHealth>;
  /** The last answer, without waiting; a new one is asked for behind the caller's back when it is old. */
  readonly last: DriverHealth;
}

/** @param health asks the engine; may hang and may throw. */
export function watchEngine(
  health: (signal: AbortSignal) => Promise<DriverHealth>,
  nowMs: () => number,
): EngineWatch {
  let last: DriverHealth = { isHealthy: true, detail: "not asked yet" };
  let asked: { readonly atMs: number; readonly answer: Promise<DriverHealth> } | undefined;
  const question = async (): Promise<DriverHealth> => {
    last = await askWithin(health);
    return last;
  };
  const ask = (): Promise<DriverHealth> => {
    if (asked === undefined || nowMs() - asked.atMs >= FRESH_MS)
      asked = { atMs: nowMs(), answer: question() };
    return asked.answer;
  };
  return {
    ask,
    get last() {
      // It never rejects: a failure is an answer.
      ask().catch(() => undefined);
      return last;
    },
  };
}

async function askWithin(health: (signal: AbortSignal) => Promise<DriverHealth>): Promise<DriverHealth> {
  const facts = { reason: `no answer within ${DEADLINE_MS} ms` };
  try {
    return await withDeadline({ ms: DEADLINE_MS, code: "ENGINE_UNAVAILABLE", facts }, health);
  } catch (error) {
    return { isHealthy: false, reason: ExecutorError.from(error).message };
  }
}
