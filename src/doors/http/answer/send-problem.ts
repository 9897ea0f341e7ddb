import type { ServerResponse } from "node:http";
import { PROBLEM_TYPE, retryAfterSeconds, toProblem } from "../../../contract/problem.ts";
import { ExecutorError } from "../../../core/index.ts";
import type { RequestContext } from "../request-context.ts";
import { leaveBodyUnread } from "./linger.ts";
import { sendText } from "./send-json.ts";

/** Answers with an error; after an answer has begun, all that is left is to break it off, so that nobody takes it for whole. */
export function sendProblem({ runId, request, response }: RequestContext, thrown: unknown): void {
  if (response.headersSent) {
    response.destroy();
    return;
  }
  const error = ExecutorError.from(thrown);
  leaveBodyUnread(request, response);
  // A task that tries again makes a new connection each time, and holds none.
  if (error.code === "SOURCE_FORBIDDEN") response.setHeader("connection", "close");
  // A replayed answer carries the id of the run that it tells of.
  const named = response.getHeader("Hearth-Run-Id");
  writeProblem(response, error, typeof named === "string" ? named : runId);
}

function writeProblem(response: ServerResponse, error: ExecutorError, requestId: string): void {
  const problem = toProblem(error, requestId);
  const seconds = retryAfterSeconds(error);
  sendText(response, problem.status, `${JSON.stringify(problem)}\n`, {
    "content-type": PROBLEM_TYPE,
    "Hearth-Error": problem.code,
    ...(seconds === undefined ? {} : { "retry-after": seconds }),
    ...(problem.status === 401 ? { "www-authenticate": 'Bearer realm="hearth"' } : {}),
  });
}
