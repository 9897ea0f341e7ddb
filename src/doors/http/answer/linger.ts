import type { IncomingMessage, ServerResponse } from "node:http";

/** Time for a client to read an answer that came before its request was complete. */
const LINGER_MS = 1000;

/**
 * Call before answering a request whose body will not be read: ends the connection with the answer, reads nothing more of
 * the body, and leaves the client a moment to see the answer. Closing at once, with bytes unread, would reset the
 * connection, and most clients would then report the reset instead of the answer.
 */
export function leaveBodyUnread(request: IncomingMessage, response: ServerResponse): void {
  if (request.complete || response.headersSent) return;
  response.setHeader("connection", "close");
  const { socket } = request;
  // This is what the HTTP server calls once the answer is out.
  socket.destroySoon = () => {
    socket.pause();
    socket.end();
    const timer = setTimeout(() => socket.destroy(), LINGER_MS);
    timer.unref();
    socket.once("close", () => clearTimeout(timer));
  };
}
