import type { AttemptRecord, AttemptUse, CallStory, Observer, ReceiptSink } from "../../core/index.ts";
import { NO_OBSERVER } from "../../core/index.ts";

/**
 * Hands every call that has ended to the receipts: those that ran, those that gave up waiting, and those that were refused.
 *
 * @param newId names a call whose door has no name for it.
 */
export function recordCalls(receipts: ReceiptSink, newId: () => string): Observer {
  return { ...NO_OBSERVER, callEnded: (call) => receipts.record(recordOf(call, newId)) };
}

function recordOf(call: CallStory, newId: () => string): AttemptRecord {
  const { acceptedAtMs, placedAtMs, headAtMs, placement } = call;
  // A start of which a call took no part is not its own: it met a sandbox that was warm already.
  const start = placement?.start === "cold" ? call.start : undefined;
  return {
    id: call.runId ?? newId(),
    door: call.recordedAs,
    task: call.task,
    taskKey: call.taskKey,
    place: placement,
    gpuIds: call.gpuIds,
    times: { acceptedAtMs, placedAtMs, headAtMs, endedAtMs: call.endedAtMs ?? acceptedAtMs, start },
    use: useOf(call),
    bytesIn: call.bytesIn,
    bytesOut: call.bytesOut,
    outcome: call.end ?? "failed",
    status: call.status,
    error: call.error,
  };
}

function useOf({ use, wasAlone }: CallStory): AttemptUse | undefined {
  return use === undefined ? undefined : { type: "later", meter: use, wasAlone };
}
