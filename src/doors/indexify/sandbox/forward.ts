import type { ClientRequest, IncomingMessage, ServerResponse } from "node:http";
import { request as httpRequest } from "node:http";
import type { Socket } from "node:net";
import type { Duplex } from "node:stream";
import { headerPairs, passedHeaders, withCors } from "./proxy-headers.ts";
import type { Refusal, Route } from "./route.ts";
import { STANDSTILL, watchStandstill } from "./standstill.ts";

/** How long a sandbox may stand still (`contracts/indexify.md` section 10.1, `http_proxy.upstream`). */
export interface ForwardTimes {
  readonly connectMs: number;
  /** Without a byte from it. */
  readonly readMs: number;
  /** Without taking a byte. */
  readonly writeMs: number;
}

type OpenRoute = Route & { readonly type: "open" };
type Refuse = (refusal: Refusal) => void;

/** Between two probes of a connection on which nothing moves, such as a WebSocket's. */
const KEEPALIVE_MS = 30_000;

/** Brings one request to a sandbox and its answer back, as both come. `refuse` answers in its place, or ends an answer that has begun. */
export function forward(
  request: IncomingMessage,
  response: ServerResponse,
  route: OpenRoute,
  times: ForwardTimes,
  refuse: Refuse,
): void {
  const upstream = ask(request, route, false);
  watch(upstream, route, times, refuse);
  // Whoever asked has left: nobody wants the answer.
  response.once("close", () => upstream.destroy());
  request.on("error", () => upstream.destroy());
  response.on("error", () => upstream.destroy());
  upstream.once("response", (answer) => {
    const { statusCode = 502, statusMessage = "" } = answer;
    const headers = passedHeaders(answer.rawHeaders, { isUpgrade: false });
    response.writeHead(statusCode, statusMessage, withCors(headers, request.headers.origin));
    response.flushHeaders();
    answer.once("end", () => {
      if (answer.rawTrailers.length > 0) response.addTrailers(headerPairs(answer.rawTrailers));
    });
    answer.pipe(response);
  });
  request.pipe(upstream);
}

/** The same for a connection that becomes another protocol's, such as WebSocket: from then on bytes go both ways until one side ends. */
export function forwardUpgrade(
  request: IncomingMessage,
  socket: Duplex,
  head: Buffer,
  route: OpenRoute,
  times: ForwardTimes,
  refuse: Refuse,
): void {
  const upstream = ask(request, route, true);
  const unwatch = watch(upstream, route, times, refuse);
  socket.on("error", () => upstream.destroy());
  socket.once("close", () => upstream.destroy());
  upstream.once("upgrade", (answer, far: Socket, farHead: Buffer) => {
    unwatch();
    writeHead(socket, answer, true);
    socket.write(farHead);
    far.write(head);
    far.setTimeout(0);
    far.setKeepAlive(true, KEEPALIVE_MS);
    join(socket, far, route.gone);
  });
  // It would not: its answer is passed on as that of any request, and the connection ends with it.
  upstream.once("response", (answer) => {
    writeHead(socket, answer, false);
    answer.pipe(socket);
  });
  upstream.end();
}

function ask(request: IncomingMessage, { endpoint }: OpenRoute, isUpgrade: boolean): ClientRequest {
  const { method, url, rawHeaders } = request;
  return httpRequest({
    ...{ host: endpoint.host, port: endpoint.port, method, path: url },
    // A connection of its own: none is left over that the sandbox closes just when it is used again.
    agent: false,
    setHost: false,
    headers: [...passedHeaders(rawHeaders, { isUpgrade }), ...framing(request, isUpgrade)],
  });
}

/** How the body's end is told, in the words of the new connection; nothing of what the client's was is taken over unread. */
function framing({ method, headers }: IncomingMessage, isUpgrade: boolean): readonly string[] {
  if (headers["transfer-encoding"] !== undefined) return ["Transfer-Encoding", "chunked"];
  const isBare = headers["content-length"] === undefined && !isUpgrade;
  return isBare && (method === "POST" || method === "PUT" || method === "PATCH")
    ? ["Content-Length", "0"]
    : [];
}

/** Ends what stands still, or whose sandbox ends. @returns what ends the watching. */
function watch(
  upstream: ClientRequest,
  { gone }: OpenRoute,
  times: ForwardTimes,
  refuse: Refuse,
): () => void {
  let isOver = false;
  const unwatch = (): void => {
    isOver = true;
    gone.removeEventListener("abort", onGone);
  };
  const fail = (refusal: Refusal): void => {
    if (isOver) return;
    unwatch();
    refuse(refusal);
    upstream.destroy();
  };
  const onGone = (): void => fail(STANDSTILL.closed);
  gone.addEventListener("abort", onGone, { once: true });
  upstream.once("socket", (socket: Socket) => watchStandstill(socket, times, fail));
  const onClose = (): void => fail(STANDSTILL.closed);
  upstream.once("close", onClose);
  upstream.once("response", (answer) => {
    // From here on its own end tells how it went; what it has sent may still lie here, unread.
    upstream.off("close", onClose);
    answer.once("end", unwatch);
    answer.once("error", onClose);
  });
  upstream.on("error", (error: NodeJS.ErrnoException) => fail(refusalOf(error)));
  return unwatch;
}

function refusalOf({ code = "" }: NodeJS.ErrnoException): Refusal {
  if (code === "ECONNREFUSED")
    return { status: 502, code: "CONNECTION_REFUSED", error: "nothing listens at that port of the sandbox" };
  if (code === "ECONNRESET" || code === "EPIPE") return STANDSTILL.closed;
  return { status: 502, code: "PROXY_ERROR", error: `the sandbox cannot be reached or understood (${code})` };
}

function writeHead(socket: Duplex, answer: IncomingMessage, isUpgrade: boolean): void {
  const { statusCode = 502, statusMessage = "", rawHeaders } = answer;
  const pairs = headerPairs(passedHeaders(rawHeaders, { isUpgrade }));
  const lines = pairs.map(([name, value]) => `${name}: ${value}\r\n`).join("");
  const end = isUpgrade ? "" : "Connection: close\r\n";
  socket.write(`HTTP/1.1 ${statusCode} ${statusMessage}\r\n${lines}${end}\r\n`, "latin1");
}

/** Bytes both ways until one side ends or the sandbox does. */
function join(near: Duplex, far: Socket, gone: AbortSignal): void {
  const end = (): void => {
    near.destroy();
    far.destroy();
  };
  gone.addEventListener("abort", end, { once: true });
  if (gone.aborted) end();
  far.once("close", () => gone.removeEventListener("abort", end));
  for (const side of [near, far]) {
    side.on("error", end);
    side.once("close", end);
  }
  near.pipe(far);
  far.pipe(near);
}
