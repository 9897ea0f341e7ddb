import type { AnswerHead } from "../../../core/index.ts";
import { ExecutorError, outcomeOf } from "../../../core/index.ts";
import type { Placement, SessionView } from "../../../engine/executor.ts";

/** What of a task's headers reaches the caller: what describes its body, and nothing that speaks for this host. */
const ALLOWED = new Set([
  "content-type",
  "content-encoding",
  "content-language",
  "content-disposition",
  "cache-control",
  "etag",
  "expires",
  "last-modified",
]);

const PRINTABLE = /^[\t\x20-\x7e\x80-\xff]*$/;

/** A page that a task made must not act as one of ours in a browser. */
const CONTAINED = { "content-security-policy": "sandbox", "x-content-type-options": "nosniff" } as const;

export type AnswerHeaders = Record<string, string | number>;

/**
 * The head that the caller of a raw call gets.
 *
 * @throws {@link ExecutorError} TASK_PROTOCOL for a status that no answer may have.
 */
export function answerHeaders(head: AnswerHead, placement: Placement | undefined): AnswerHeaders {
  if (head.status < 200 || head.status > 599) {
    throw new ExecutorError("TASK_PROTOCOL", { reason: `it answered with status ${head.status}` });
  }
  const headers: AnswerHeaders = { ...outcomeHeaders(head.status), ...placementHeaders(placement) };
  for (const [name, value] of head.headers)
    if (ALLOWED.has(name) && PRINTABLE.test(value)) headers[name] = value;
  if (head.contentLength !== undefined) headers["content-length"] = head.contentLength;
  return headers;
}

/** Marks an answer as the task's own. */
export function outcomeHeaders(status: number): AnswerHeaders {
  return { "Hearth-Outcome": outcomeOf(status).isSuccess ? "success" : "failure", ...CONTAINED };
}

export function placementHeaders(placement: Placement | undefined): AnswerHeaders {
  if (placement === undefined) return {};
  return {
    "Hearth-Sandbox-Id": placement.sandboxId,
    "Hearth-Start": placement.start,
    "Hearth-Waited-Ms": Math.round(placement.waitedMs),
    "Hearth-Isolation": placement.isolation,
    "Hearth-Image-Digest": placement.imageDigest,
  };
}

/** Tells the caller of the session that its call has opened. */
export function sessionHeaders(session: SessionView | undefined): AnswerHeaders {
  if (session?.sessionId === undefined) return {};
  return {
    "Hearth-Session": session.sessionId,
    "Hearth-Session-Expires-Ms": Math.round(session.expiresInMs),
  };
}
