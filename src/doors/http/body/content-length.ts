import type { IncomingMessage } from "node:http";
import { ExecutorError } from "../../../core/index.ts";

/** The length a request declares; `undefined` for a chunked body. A request without a body has length 0. */
export function contentLength(request: IncomingMessage): number | undefined {
  if (request.headers["transfer-encoding"] !== undefined) return undefined;
  return Number(request.headers["content-length"] ?? 0);
}

export function tooLarge(limitBytes: number): ExecutorError {
  return new ExecutorError("BODY_TOO_LARGE", { limitBytes });
}
