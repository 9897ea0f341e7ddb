import type { CallQuery, Run } from "../../../contract/v1/calls.ts";
import { idempotencyKey } from "../../../contract/v1/calls.ts";
import { SSE_TYPE } from "../../../contract/v1/route.ts";
import { ExecutorError } from "../../../core/index.ts";
import { sendJson } from "../answer/send-json.ts";
import { bodySource } from "../body/body-source.ts";
import { contentLength } from "../body/content-length.ts";
import { check } from "../body/parse-json.ts";
import { readBody } from "../body/read-body.ts";
import { StreamedAnswer } from "../calls/stream-answer.ts";
import { toCall } from "../calls/to-call.ts";
import { toTask } from "../calls/to-task.ts";
import type { DoorParts } from "../parts.ts";
import type { RequestContext } from "../request-context.ts";
import { replay } from "../runs/replay.ts";
import type { Started } from "../runs/run-desk.ts";
import { showActive, showRecord } from "../runs/show-run.ts";
import type { Handler } from "./handler.ts";

/** Up to here a body is read before the call starts: then a call whose sandbox proves dead can be placed again. */
const READ_AHEAD_BYTES = 64 * 1024;

/** `POST /v1/calls`: the task's input as it stands in, the task's answer as it stands out. */
export const call: Handler<"call"> = async (parts, context, { query }) => {
  const key = keyOf(context);
  if (prefersAsync(context)) {
    const started = await startRecorded(parts, context, query, key);
    sendStarted(context, started, { "Preference-Applied": "respond-async" });
    return;
  }
  if (key !== undefined) await callOnce(parts, context, query, key);
  else await passThrough(parts, context, query);
};

/** The value of `Idempotency-Key`, checked. */
export function keyOf({ request }: RequestContext): string | undefined {
  const key = request.headers["idempotency-key"];
  return key === undefined ? undefined : check(idempotencyKey, key);
}

/** 202, with where the run is found. */
export function sendStarted(
  { response }: RequestContext,
  started: Started,
  headers: Readonly<Record<string, string>> = {},
): void {
  const run: Run = started.type === "started" ? showActive(started.run) : showRecord(started.record);
  response.setHeader("Hearth-Run-Id", run.id);
  sendJson(response, 202, run, { location: `/v1/runs/${run.id}`, ...headers });
}

async function passThrough(parts: DoorParts, context: RequestContext, query: CallQuery): Promise<void> {
  const { request } = context;
  const length = contentLength(request);
  const asked = toTask(query, parts.executor);
  // The input of an SGX task may be a word that is no input.
  const isShort = length === undefined ? asked.sgx : length <= READ_AHEAD_BYTES;
  const body = isShort ? await readBody(parts, context) : bodySource(parts, context);
  const {
    task,
    request: outgoing,
    options,
  } = toCall(query, asked, context, body, request.headers["content-type"]);
  // Servers of event streams listen for their client's end; other calls end as the setting says.
  const onCancel = request.headers.accept?.includes(SSE_TYPE) === true ? { onCancel: "close" as const } : {};
  const sink = new StreamedAnswer(context);
  sink.attach(parts.executor.call(task, outgoing, { ...options, ...onCancel }, sink));
}

async function callOnce(
  parts: DoorParts,
  context: RequestContext,
  query: CallQuery,
  key: string,
): Promise<void> {
  const tap = new StreamedAnswer(context);
  const started = await startRecorded(parts, context, query, key, tap);
  if (started.type === "met") await replay(parts, context, started.record, "IDEMPOTENCY_RUNNING");
  else tap.attach(started.run.caller);
}

async function startRecorded(
  parts: DoorParts,
  context: RequestContext,
  query: CallQuery,
  key: string | undefined,
  tap?: StreamedAnswer,
): Promise<Started> {
  if (query.session === "new") {
    const reason = "a recorded call may outlive its caller, so it opens no session; it may run in one";
    throw new ExecutorError("INPUT_INVALID", { field: "session", reason });
  }
  const task = toTask(query, parts.executor);
  const body = await readBody(parts, context);
  const recorded = toCall(query, task, context, body, context.request.headers["content-type"]);
  return await parts.runs.start({ runId: context.runId, call: recorded, body, key, tap });
}

function prefersAsync({ request }: RequestContext): boolean {
  const { prefer } = request.headers;
  return (Array.isArray(prefer) ? prefer.join(",") : (prefer ?? "")).toLowerCase().includes("respond-async");
}
