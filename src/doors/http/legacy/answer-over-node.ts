import type { ServerResponse } from "node:http";
import { asId } from "../../../core/index.ts";
import type { LegacyCaller } from "./call-legacy.ts";
import type { LegacyAnswer } from "./legacy-answer.ts";

/**
 * The slow path of `POST /`: runs the request and writes the whole answer. Cancels when the client goes away before.
 * Guards and the limit of the body are the caller's; a run id that `response` carries already is kept.
 */
export function answerLegacyCall(legacy: LegacyCaller, body: Buffer, response: ServerResponse): void {
  const known = response.getHeader("hearth-run-id");
  const runId = typeof known === "string" ? asId<"run">(known) : undefined;
  const exchange = legacy.call(body, (answer) => write(response, answer), runId);
  response.once("close", () => exchange.cancel());
}

function write(response: ServerResponse, answer: LegacyAnswer): void {
  response.once("close", () => answer.release());
  const { headers } = answer;
  for (let at = 0; at + 1 < headers.length; at += 2) {
    response.setHeader(headers[at] as string, headers[at + 1] as string);
  }
  response.setHeader("Content-Length", answer.length);
  response.writeHead(answer.status);
  if (typeof answer.body === "string") {
    response.end(answer.body, "latin1");
    return;
  }
  response.cork();
  for (const piece of answer.body) response.write(piece);
  response.end();
  response.uncork();
}
