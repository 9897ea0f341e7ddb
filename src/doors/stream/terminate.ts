import { eventOf, formatTimestamp } from "../../contract/executer-tracker/index.ts";
import { orAbort } from "../../std/index.ts";
import type { JobDesk } from "./desk.ts";

/**
 * The last words of this executer: that it has ended, unless the end of a job has told so already; then it leaves the queue, if
 * it holds nothing there. A queue that does not answer is not waited for.
 */
export async function terminate(desk: JobDesk, hasToldEnd: boolean, signal: AbortSignal): Promise<void> {
  const { options, source, registration, stopReason } = desk;
  const { log, clock } = options;
  const reason = stopReason();
  try {
    if (!hasToldEnd) {
      const event = eventOf("ExecuterTerminated", {
        timestamp: formatTimestamp(clock.wallMs()),
        uuid: registration.uuid,
        reason,
        detail: null,
        stopped_tasks: [],
      });
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
