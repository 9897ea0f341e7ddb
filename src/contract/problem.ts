import type { ErrorCode, ErrorFacts, ErrorKind, ErrorSpec } from "../core/index.ts";
import { ERRORS, ExecutorError } from "../core/index.ts";

/**
 * The one table from an error's kind to its HTTP status. 503 always means "this host, not now" and carries `Retry-After`; 502
 * means that the task or its image failed; 422 that the request is right and this host will never serve it.
 */
export const STATUS_OF_KIND = {
  invalid: 400,
  unauthorized: 401,
  forbidden: 403,
  not_found: 404,
  method: 405,
  conflict: 409,
  too_large: 413,
  unsupported: 415,
  refused: 422,
  cancelled: 499,
  internal: 500,
  pull: 502,
  start: 502,
  memory: 502,
  exit: 502,
  protocol: 502,
  busy: 503,
  starting: 503,
  paused: 503,
  draining: 503,
  infrastructure: 503,
  timeout: 504,
} as const satisfies Record<ErrorKind, number>;

/** Seconds that a 503 asks its caller to wait, where the error itself does not know better (`retryAfterMs` among its facts). */
const RETRY_AFTER_SECONDS: Partial<Record<ErrorKind, number>> = {
  busy: 1,
  starting: 1,
  paused: 10,
  draining: 5,
  infrastructure: 2,
};

/** The body of every answer of ours that is an error: RFC 9457, as `application/problem+json`. */
export interface Problem {
  readonly type: string;
  readonly code: ErrorCode;
  readonly status: number;
  readonly title: string;
  readonly detail: string;
  readonly retry: "never" | "later";
  readonly fault: "caller" | "task" | "host";
  readonly requestId: string;
  readonly facts: ErrorFacts;
}

export const PROBLEM_TYPE = "application/problem+json; charset=utf-8";

/** A timeout that the caller caused by sending too slowly is 408; every other one is the task's, and 504. */
export function statusOf(code: ErrorCode): number {
  const spec: ErrorSpec = ERRORS[code];
  return spec.kind === "timeout" && spec.fault === "caller" ? 408 : STATUS_OF_KIND[spec.kind];
}

/** What `Retry-After` says, in whole seconds; `undefined` where the header has no place. */
export function retryAfterSeconds(error: ExecutorError): number | undefined {
  if (error.spec.retry !== "later" || statusOf(error.code) !== 503) return undefined;
  const known = error.facts["retryAfterMs"];
  if (typeof known === "number" && known > 0) return Math.ceil(known / 1000);
  return RETRY_AFTER_SECONDS[error.spec.kind] ?? 1;
}

/** Anything thrown as a problem. What is not ours is `INTERNAL`, without its text. */
export function toProblem(thrown: unknown, requestId: string): Problem {
  const error = ExecutorError.from(thrown);
  const { text, retry, fault } = error.spec;
  return {
    type: `urn:hearth:error:${error.code}`,
    code: error.code,
    status: statusOf(error.code),
    title: text,
    detail: error.code === "INTERNAL" ? text : error.message,
    retry,
    fault,
    requestId,
    facts: error.code === "INTERNAL" ? {} : error.facts,
  };
}
