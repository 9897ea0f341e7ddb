import { ExecutorError } from "../../core/index.ts";
import { withDeadline } from "../../std/index.ts";

/** What has not come through in this time does not work. */
const WITHIN_MS = 5000;

/**
 * Tries whether something works on this machine. A machine that stands still makes a try late, which says nothing of what was tried:
 * what was late is tried once more.
 *
 * @throws what `attempt` throws; {@link ExecutorError} ENGINE_FAILED with `tooLate` as its reason when it was late twice; the signal's reason.
 */
export async function tryOut(
  tooLate: string,
  signal: AbortSignal,
  attempt: (within: AbortSignal) => Promise<void>,
): Promise<void> {
  try {
    await inTime(tooLate, signal, attempt);
  } catch (error) {
    signal.throwIfAborted();
    const { reason } = ExecutorError.from(error).facts as { readonly reason?: string };
    if (reason !== tooLate) throw error;
    await inTime(tooLate, signal, attempt);
  }
}

async function inTime(
  reason: string,
  parent: AbortSignal,
  attempt: (within: AbortSignal) => Promise<void>,
): Promise<void> {
  const deadline = { ms: WITHIN_MS, code: "ENGINE_FAILED", facts: { reason }, parent } as const;
  await withDeadline(deadline, async (within) => {
    try {
      await attempt(within);
    } catch (error) {
      within.throwIfAborted();
      throw error;
    }
  });
}
