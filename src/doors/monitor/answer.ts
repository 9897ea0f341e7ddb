import { randomUUID } from "node:crypto";
import type { IncomingMessage, ServerResponse } from "node:http";
import { PROBLEM_TYPE, retryAfterSeconds, toProblem } from "../../contract/problem.ts";
import { ExecutorError } from "../../core/index.ts";

export const JSON_TYPE = "application/json";
export const TEXT_TYPE = "text/plain; charset=utf-8";

/** A whole answer. */
export interface Answer {
  readonly status: number;
  readonly contentType: string;
  readonly body: string;
}

/** Writes it; without its body for a HEAD. */
export function send(request: IncomingMessage, response: ServerResponse, answer: Answer): void {
  if (response.headersSent || response.destroyed) return;
  const bytes = Buffer.from(answer.body);
  response.writeHead(answer.status, {
    "content-type": answer.contentType,
    "content-length": bytes.byteLength,
    "x-content-type-options": "nosniff",
    "cache-control": "no-store",
  });
  response.end(request.method === "HEAD" ? undefined : bytes);
  // Nothing here reads a body; a client that sends one all the same must not hold the connection.
  request.resume();
}

/** Answers with an error, as `/v1` does. */
export function sendProblem(request: IncomingMessage, response: ServerResponse, thrown: unknown): void {
  const error = ExecutorError.from(thrown);
  const problem = toProblem(error, randomUUID());
  const seconds = retryAfterSeconds(error);
  if (seconds !== undefined) response.setHeader("retry-after", seconds);
  // A task that tries again makes a new connection each time, and holds none.
  if (problem.code === "SOURCE_FORBIDDEN") response.setHeader("connection", "close");
  if (problem.status === 401) response.setHeader("www-authenticate", 'Bearer realm="hearth"');
  response.setHeader("hearth-error", problem.code);
  send(request, response, {
    status: problem.status,
    contentType: PROBLEM_TYPE,
    body: `${JSON.stringify(problem)}\n`,
  });
}
