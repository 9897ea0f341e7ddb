import { toCall } from "../calls/to-call.ts";
import { toTask } from "../calls/to-task.ts";
import { keyOf, sendStarted } from "./call.ts";
import type { Handler } from "./handler.ts";

/** `POST /v1/runs`: the same as an asynchronous call, in one JSON body. */
export const startRun: Handler<"startRun"> = async (parts, context, { body: wish }) => {
  const body = bytesOf(wish.input);
  const call = toCall(wish, toTask(wish, parts.executor), context, body, wish.contentType);
  const started = await parts.runs.start({ runId: context.runId, call, body, key: keyOf(context) });
  sendStarted(context, started);
};

function bytesOf(input: unknown): Buffer {
  if (input === undefined) return Buffer.alloc(0);
  return Buffer.from(typeof input === "string" ? input : JSON.stringify(input));
}
