import { ExecutorError } from "../../core/index.ts";
import { sendProblem } from "./answer/send-problem.ts";
import type { Guard } from "./guards/guard.ts";
import type { DoorParts } from "./parts.ts";
import type { RequestContext } from "./request-context.ts";
import type { RouteEntry } from "./route-entry.ts";

/** Lets a request in or turns it away, answers it, and sees to it that whatever goes wrong becomes an answer too. */
export async function dispatch(
  parts: DoorParts,
  guard: Guard,
  context: RequestContext,
  { scopes, startsCall }: Pick<RouteEntry, "scopes" | "startsCall">,
  answer: () => Promise<void> | void,
): Promise<void> {
  const { response } = context;
  if (parts.isClosing()) response.setHeader("connection", "close");
  try {
    guard.check(context, scopes);
    await answer();
  } catch (thrown) {
    const error = ExecutorError.from(thrown);
    // The failure of an earlier call that is told again has been counted with that.
    if (startsCall && !response.hasHeader("idempotency-replayed")) parts.refusals.add(error.code);
    if (error.code === "INTERNAL") {
      parts.options.log.log("error", "call.failed", { requestId: context.runId, error: error.cause });
    }
    sendProblem(context, error);
  }
}
