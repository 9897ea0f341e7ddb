import type { RunRecord } from "../../../core/index.ts";
import { ExecutorError } from "../../../core/index.ts";
import { sendText } from "../answer/send-json.ts";
import { outcomeHeaders, placementHeaders } from "../calls/answer-head.ts";
import type { DoorParts } from "../parts.ts";
import type { RequestContext } from "../request-context.ts";
import { errorOf } from "./show-run.ts";

/**
 * Answers with what a recorded call was answered.
 *
 * @param whileRunning what to throw if it has not ended.
 * @throws {@link ExecutorError} the run's own error if it was not answered; ANSWER_NOT_KEPT.
 */
export async function replay(
  { options }: DoorParts,
  { response }: RequestContext,
  record: RunRecord,
  whileRunning: "RUN_RUNNING" | "IDEMPOTENCY_RUNNING",
): Promise<void> {
  const { end, runId } = record;
  response.setHeader("Hearth-Run-Id", runId);
  if (end === undefined) throw new ExecutorError(whileRunning, { runId });
  response.setHeader("Idempotency-Replayed", "true");
  const error = errorOf(record);
  if (error !== undefined) throw error;
  const answer = await options.records.answer(runId);
  if (end.type !== "answered" || answer === undefined) throw new ExecutorError("ANSWER_NOT_KEPT", { runId });
  sendText(response, end.status, answer, {
    ...(end.contentType === undefined ? {} : { "content-type": end.contentType }),
    ...placementHeaders(record.placement),
    ...outcomeHeaders(end.status),
  });
}
