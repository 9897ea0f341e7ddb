import type { ClientRequest, IncomingMessage } from "node:http";

/**
 * Sends a request's body on, whole (as far as the socket's buffer takes it at once, which are some 200 kB). Piped, its end is a
 * write of its own: an engine at a Unix socket that has read enough may have answered and hung up by then, and the write's
 * failure takes the place of the answer that lies there unread.
 */
export function sendOn(incoming: IncomingMessage, onward: ClientRequest): void {
  incoming.toArray().then(
    (chunks) => onward.end(Buffer.concat(chunks)),
    () => onward.destroy(), // whoever asked has gone
  );
}
