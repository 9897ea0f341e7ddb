import type { IncomingMessage, Server } from "node:http";
import type { Duplex } from "node:stream";

/** How long what is late may take once it is noticed. */
const LOOK_AGAIN_MS = 400;

/**
 * Looks once more before a request is called late. `node:http` looks at its clock before it reads what has come: when this
 * process, or the whole machine, has stood still for longer than a head may take, a head that was sent in time would be
 * answered 408 unread.
 */
export class LateRequests {
  readonly #last = new WeakMap<Duplex, IncomingMessage>();

  constructor(server: Server) {
    server.prependListener("request", (request) => this.#last.set(request.socket, request));
  }

  /** Call at the server's `clientError` of the code `ERR_HTTP_REQUEST_TIMEOUT`; calls back if the request has still not come. */
  lookAgain(socket: Duplex, onLate: () => void): void {
    const before = this.#last.get(socket);
    const wasComplete = before?.complete === true;
    const timer = setTimeout(() => {
      const now = this.#last.get(socket);
      const hasCome = now !== before || (!wasComplete && now?.complete === true);
      if (!hasCome && !socket.destroyed) onLate();
    }, LOOK_AGAIN_MS);
    timer.unref();
    socket.once("close", () => clearTimeout(timer));
  }
}
