import { orAbort } from "../../std/index.ts";
import type { JobDesk } from "./desk.ts";
import { terminatedEvent } from "./verdict.ts";

/**
 * The last words of this executer: that it has ended, unless the end of a job has told so already; then it leaves the queue, if
 * it holds nothing there. A queue that does not answer is not waited for.
 */
export async function terminate(desk: JobDesk, hasToldEnd: boolean, signal: AbortSignal): Promise<void> {
  const { options, source, registration } = desk;
  const { log, clock } = options;
  const termination = desk.termination();
  const { reason } = termination;
  try {
    if (!hasToldEnd) {
      const speaker = { executerId: registration.uuid, wallMs: clock.wallMs() };
      const event = terminatedEvent(termination, speaker, []);
      await orAbort(source.publish([event]), signal);
    }
    const hasLeft = await source.leave(signal);
    // One that holds something still needs its name, to find it again.
    if (hasLeft) await options.forgetRegistration();
    log.log("info", "executer.terminated", { executerId: registration.uuid, reason, hasLeft });
  } catch (error) {
    log.log("warn", "executer.terminated", { executerId: registration.uuid, reason, hasLeft: false, error });
  }
}
