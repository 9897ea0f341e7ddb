import type { IncomingMessage, ServerResponse } from "node:http";
import type { Duplex } from "node:stream";
import { contentLength } from "../body/content-length.ts";

/** Time for a client to read an answer that came before its request was complete. */
const LINGER_MS = 1000;
/** What may still come meanwhile; above, it is left to fill the client's own buffers. */
const LINGER_BYTES = 64 * 1024;

/**
 * Ends a connection whose client may still be sending: reads a little more, so that a client that ends too is noticed, and
 * leaves it a moment to see its answer. Closing at once, with bytes unread, would reset the connection, and most clients
 * would then report the reset instead of the answer.
 */
export function lingerThenClose(socket: Duplex): void {
  let bytes = 0;
  socket.on("data", (chunk: Buffer) => {
    bytes += chunk.length;
    if (bytes > LINGER_BYTES) socket.pause();
  });
  socket.resume();
  socket.end();
  const timer = setTimeout(() => socket.destroy(), LINGER_MS);
  timer.unref();
  socket.once("close", () => clearTimeout(timer));
}

/** Call before answering: if more of the request's body is to come than is worth reading, its connection ends with the answer. */
export function skipLongBody(request: IncomingMessage, response: ServerResponse): void {
  const left = contentLength(request);
  if (left === undefined || left > LINGER_BYTES) leaveBodyUnread(request, response);
}

/** Call before answering a request whose body will not be read: its connection ends with the answer. */
export function leaveBodyUnread(request: IncomingMessage, response: ServerResponse): void {
  if (request.complete || response.headersSent) return;
  response.setHeader("connection", "close");
  const { socket } = request;
  // This is what the HTTP server calls once the answer is out.
  socket.destroySoon = () => lingerThenClose(socket);
}
