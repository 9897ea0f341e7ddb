import type { Problem } from "../contract/problem.ts";
import type { ErrorCode, ErrorFacts } from "../core/index.ts";

/** The daemon's own codes, and two of the client: `UNREACHABLE` (no answer came) and `UNEXPECTED` (an answer that is not Hearth's). */
export type HearthErrorCode = ErrorCode | "UNREACHABLE" | "UNEXPECTED";

/**
 * Everything that a client method rejects with, except the abort reason of a signal that its caller gave. Branch on `code`.
 */
export class HearthError extends Error {
  override readonly name = "HearthError";
  readonly code: HearthErrorCode;
  /** HTTP status, or 0 when no answer came. */
  readonly status: number;
  readonly retry: "never" | "later";
  readonly facts: ErrorFacts;
  readonly requestId: string | undefined;
  /** Milliseconds that the daemon asks to wait before another try. */
  readonly retryAfterMs: number | undefined;

  constructor(
    code: HearthErrorCode,
    message: string,
    details: {
      readonly status?: number;
      readonly retry?: "never" | "later";
      readonly facts?: ErrorFacts;
      readonly requestId?: string | undefined;
      readonly retryAfterMs?: number | undefined;
      readonly cause?: unknown;
    } = {},
  ) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    this.code = code;
    this.status = details.status ?? 0;
    this.retry = details.retry ?? "never";
    this.facts = details.facts ?? {};
    this.requestId = details.requestId;
    this.retryAfterMs = details.retryAfterMs;
  }

  static fromProblem(problem: Problem, retryAfterMs?: number): HearthError {
    return new HearthError(problem.code, problem.detail, {
      status: problem.status,
      retry: problem.retry,
      facts: problem.facts,
      requestId: problem.requestId,
      retryAfterMs,
    });
  }
}
