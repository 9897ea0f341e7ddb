import { STATUS_CODES } from "node:http";
import type { Duplex } from "node:stream";
import { PROBLEM_TYPE, toProblem } from "../../../contract/problem.ts";
import type { ExecutorError, RunId } from "../../../core/index.ts";
import { lingerThenClose } from "./linger.ts";

/** Answers on a connection whose bytes are no request that could be answered in the usual way, and ends it. */
export function refuseSocket(socket: Duplex, error: ExecutorError, requestId: RunId): void {
  if (!socket.writable || socket.destroyed) {
    socket.destroy();
    return;
  }
  const problem = toProblem(error, requestId);
  const body = `${JSON.stringify(problem)}\n`;
  socket.write(
    [
      `HTTP/1.1 ${problem.status} ${STATUS_CODES[problem.status] ?? ""}`,
      `Content-Type: ${PROBLEM_TYPE}`,
      `Content-Length: ${Buffer.byteLength(body)}`,
      "Connection: close",
      `Hearth-Request-Id: ${requestId}`,
      `Hearth-Error: ${problem.code}`,
      "",
      body,
    ].join("\r\n"),
  );
  lingerThenClose(socket);
}
