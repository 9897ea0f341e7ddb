import type { CallQuery } from "../../../contract/v1/calls.ts";
import type { BodySource, CallRequest, TaskSpec } from "../../../core/index.ts";
import { ExecutorError } from "../../../core/index.ts";
import type { CallOptions } from "../../../engine/executor.ts";
import type { RequestContext } from "../request-context.ts";
import { EVIDENCE_PATH, inputPath, isAttestation } from "./task-request.ts";
import { toSessionWish } from "./to-task.ts";

/** One call in the executor's words. */
export interface Call {
  readonly task: TaskSpec;
  readonly request: CallRequest;
  readonly options: CallOptions;
}

/** Request headers that the task may see; all else is between the caller and us. */
const PASSED_ON = ["accept", "accept-language"] as const;

/** Who asks for evidence without a session calls again without one, and must meet the same server. */
const HOLD = { type: "hold" } as const;
const NO_BODY = Buffer.alloc(0);

const PRINTABLE = /^[\x20-\x7e]*$/;

/** What of a wish is about the call and not about its task. */
type CallWish = Pick<CallQuery, "session" | "path" | "queueTimeoutMs" | "runTimeoutMs">;

/** A `/v1` call of a task; what it leaves out has the contract's defaults. */
export function toCall(
  wish: CallWish,
  task: TaskSpec,
  context: RequestContext,
  body: Uint8Array | BodySource,
  contentType: string | undefined,
): Call {
  const isEvidence = wish.path === undefined && isAttestation(task, body);
  const session = toSessionWish(wish) ?? (isEvidence ? HOLD : undefined);
  return {
    task,
    request: {
      method: isEvidence ? "GET" : "POST",
      path: wish.path ?? (isEvidence ? EVIDENCE_PATH : inputPath(task)),
      contentType: isEvidence ? "" : checkedType(contentType),
      headers: passedOn(context),
      body: isEvidence ? NO_BODY : body,
    },
    options: {
      door: "http",
      runId: context.runId,
      ...(session === undefined ? {} : { session }),
      ...(wish.queueTimeoutMs === undefined ? {} : { queueTimeoutMs: wish.queueTimeoutMs }),
      ...(wish.runTimeoutMs === undefined ? {} : { runTimeoutMs: wish.runTimeoutMs }),
    },
  };
}

function checkedType(contentType: string | undefined): string {
  if (contentType === undefined || contentType === "") return "application/json";
  if (contentType.length > 256 || !PRINTABLE.test(contentType)) {
    throw new ExecutorError("INPUT_INVALID", { field: "Content-Type", reason: "it is not printable ASCII" });
  }
  return contentType;
}

function passedOn(context: RequestContext): [string, string][] {
  const { runId } = context;
  return [["Hearth-Run-Id", runId], ...headersOf(context, PASSED_ON), ...traceHeaders(context)];
}

/** The caller's place in its trace. */
export function traceHeaders(context: RequestContext): [string, string][] {
  return headersOf(context, ["traceparent", "tracestate"]);
}

function headersOf({ request }: RequestContext, names: readonly string[]): [string, string][] {
  return names.flatMap((name): [string, string][] => {
    const value = request.headers[name];
    return typeof value === "string" && PRINTABLE.test(value) ? [[name, value]] : [];
  });
}
