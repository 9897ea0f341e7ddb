import type { CallQuery } from "../../../contract/v1/calls.ts";
import type { BodySource, CallRequest, TaskSpec } from "../../../core/index.ts";
import { DEFAULT_RESOURCES, ExecutorError, MEBIBYTE } from "../../../core/index.ts";
import type { CallOptions } from "../../../engine/executor.ts";
import type { RequestContext } from "../request-context.ts";

/** One call in the executor's words. */
export interface Call {
  readonly task: TaskSpec;
  readonly request: CallRequest;
  readonly options: CallOptions;
}

/** Request headers that the task may see; all else is between the caller and us. */
const PASSED_ON = ["accept", "accept-language", "traceparent", "tracestate"] as const;

const PRINTABLE = /^[\x20-\x7e]*$/;

/** A `/v1` call; what it leaves out has the contract's defaults. */
export function toCall(
  wish: CallQuery,
  context: RequestContext,
  body: Uint8Array | BodySource,
  contentType: string | undefined,
): Call {
  return {
    task: {
      image: wish.image,
      isolation: wish.isolation,
      sgx: wish.sgx,
      network: "default",
      resources: {
        cpuMillis: wish.cpu === undefined ? DEFAULT_RESOURCES.cpuMillis : Math.round(wish.cpu * 1000),
        memoryBytes: wish.mem === undefined ? DEFAULT_RESOURCES.memoryBytes : wish.mem * MEBIBYTE,
        gpuCount: wish.gpus ?? 0,
        gpuMemoryBytes: (wish.gpus ?? 0) === 0 ? 0 : (wish.gpuMemory ?? 0) * MEBIBYTE,
      },
    },
    request: {
      method: "POST",
      // A task that serves SGX takes its input there (`contracts/meca.md` section 4).
      path: wish.path ?? (wish.sgx ? "/run" : "/"),
      contentType: checkedType(contentType),
      headers: passedOn(context),
      body,
    },
    options: {
      door: "http",
      runId: context.runId,
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

function passedOn({ request, runId }: RequestContext): [string, string][] {
  const headers: [string, string][] = [["Hearth-Run-Id", runId]];
  for (const name of PASSED_ON) {
    const value = request.headers[name];
    if (typeof value === "string" && PRINTABLE.test(value)) headers.push([name, value]);
  }
  return headers;
}
