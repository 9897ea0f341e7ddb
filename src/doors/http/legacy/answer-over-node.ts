import type { ServerResponse } from "node:http";
import type { CallRequest, RunId } from "../../../core/index.ts";
import type { LegacyCaller } from "./call-legacy.ts";
import { isWhole, type LegacyAnswer } from "./legacy-answer.ts";
import { pumpPieces } from "./pump-pieces.ts";

/**
 * The slow path of `POST /`: runs the request and writes the whole answer. Cancels when the client goes away before.
 * Guards and the limit of the body are the caller's.
 */
export function answerLegacyCall(
  legacy: LegacyCaller,
  body: Buffer,
  response: ServerResponse,
  runId: RunId,
  headers?: CallRequest["headers"],
): void {
  const exchange = legacy.call(body, (answer) => write(response, answer), runId, headers);
  response.once("close", () => exchange.cancel());
}

function write(response: ServerResponse, answer: LegacyAnswer): void {
  const { headers, body } = answer;
  for (let at = 0; at + 1 < headers.length; at += 2) {
    response.setHeader(headers[at] as string, headers[at + 1] as string);
  }
  response.once("close", () => answer.release());
  if (isWhole(body)) {
    response.setHeader("Content-Length", body.length);
    response.writeHead(answer.status);
    response.end(body, "latin1");
    return;
  }
  response.writeHead(answer.status);
  const pump = pumpPieces(body, {
    write: (piece) => response.write(piece),
    end: () => {
      response.end();
    },
  });
  response.on("drain", () => pump.resume());
  response.once("close", () => pump.stop());
}
