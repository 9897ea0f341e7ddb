import type { IncomingMessage, RequestListener, Server, ServerResponse } from "node:http";
import { createServer } from "node:http";
import type { Socket } from "node:net";
import type { Duplex } from "node:stream";
import { ExecutorError } from "../../core/index.ts";
import { LateRequests } from "../../std/index.ts";
import { QuietTime } from "./answer/quiet-time.ts";
import { refuseSocket } from "./answer/refuse-socket.ts";
import { expectsContinue } from "./body/expect-continue.ts";
import type { HttpLimits } from "./limits.ts";
import { nextRunId } from "./run-id.ts";

/** How often slow request heads are looked for. */
const CHECK_INTERVAL_MS = 1000;

export interface BoundedServer {
  readonly server: Server;
  /** What to do with bytes that are no HTTP. */
  onClientError(error: Error, socket: Duplex): void;
}

/** `node:http` with this door's limits; it does not listen yet. */
export function boundedServer(limits: HttpLimits, onRequest: RequestListener): BoundedServer {
  const answers = new AnswersUnderWay();
  const server = createServer(
    {
      maxHeaderSize: limits.headerBytes,
      // Refused by our own guard, with a body.
      requireHostHeader: false,
      connectionsCheckingInterval: CHECK_INTERVAL_MS,
      noDelay: true,
    },
    (request, response) => {
      answers.began(request, response);
      onRequest(request, response);
    },
  );
  server.headersTimeout = limits.headerTimeoutMs;
  // Bodies are watched by their readers: what counts is that they come, not how long they take.
  server.requestTimeout = 0;
  server.keepAliveTimeout = limits.keepAliveMs;
  endQuiet(server, limits, answers);
  const onExpectation = (request: IncomingMessage, response: ServerResponse): void => {
    expectsContinue(request);
    server.emit("request", request, response);
  };
  server.on("checkContinue", onExpectation);
  server.on("checkExpectation", (request, response) => server.emit("request", request, response));
  server.on("connect", (_request, socket) => {
    const reason = "this is not a proxy";
    refuseSocket(socket, new ExecutorError("INPUT_INVALID", { reason }), nextRunId());
  });
  const late = new LateRequests(server);
  return {
    server,
    onClientError: (error: Error & { readonly code?: string }, socket) => {
      const refuse = (): void => onClientError(error, socket, answers);
      if (error.code === "ERR_HTTP_REQUEST_TIMEOUT") late.lookAgain(socket, refuse);
      else refuse();
    },
  };
}

/** Ends connections that are idle for too long, and those whose clients leave an answer unread. */
function endQuiet(server: Server, { writeTimeoutMs }: HttpLimits, answers: AnswersUnderWay): void {
  const quiet = new QuietTime(writeTimeoutMs);
  server.timeout = quiet.partMs;
  server.on("timeout", (socket: Socket) => {
    const isAwaited = answers.isAwaited(socket);
    // Quiet while an answer is awaited is no fault of the client's; bytes that it leaves unread are.
    if (isAwaited && socket.writableLength === 0) return;
    // Between two requests the timer is that of `keepAliveTimeout`, which is over when it is due.
    const isBetween = !isAwaited && answers.hasHad(socket);
    if (isBetween || quiet.isOver(socket)) socket.destroy();
    else socket.setTimeout(quiet.partMs);
  });
}

function onClientError(
  error: Error & { readonly code?: string },
  socket: Duplex,
  answers: AnswersUnderWay,
): void {
  if (error.code === "ECONNRESET" || answers.hasBegun(socket)) {
    socket.destroy();
    return;
  }
  if (socket.writableEnded) return;
  refuseSocket(socket, toError(error.code), nextRunId());
}

function toError(code: string | undefined): ExecutorError {
  if (code === "ERR_HTTP_REQUEST_TIMEOUT") {
    return new ExecutorError("REQUEST_TIMEOUT", { reason: "the request's head came too slowly" });
  }
  if (code === "HPE_HEADER_OVERFLOW") {
    return new ExecutorError("INPUT_INVALID", { reason: "the request's head is too long" });
  }
  return new ExecutorError("INPUT_INVALID", { reason: "this is not HTTP/1.1" });
}

/** Which connections have answers that are not complete. */
class AnswersUnderWay {
  readonly #open = new WeakMap<Duplex, Set<ServerResponse>>();

  began({ socket }: IncomingMessage, response: ServerResponse): void {
    const responses = this.#open.get(socket) ?? new Set();
    this.#open.set(socket, responses);
    responses.add(response);
    response.once("close", () => responses.delete(response));
  }

  /** Whether it has ever had a request. */
  hasHad(socket: Duplex): boolean {
    return this.#open.has(socket);
  }

  isAwaited(socket: Duplex): boolean {
    return (this.#open.get(socket)?.size ?? 0) > 0;
  }

  /** Whether part of an answer is out, so that nothing else may be written. */
  hasBegun(socket: Duplex): boolean {
    return [...(this.#open.get(socket) ?? [])].some(
      (response) => response.headersSent && !response.writableFinished,
    );
  }
}
