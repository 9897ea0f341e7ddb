import type { Server, ServerResponse } from "node:http";
import { STATUS_CODES } from "node:http";
import type { Duplex } from "node:stream";
import { LateRequests } from "../../std/index.ts";

const STATUS_OF: Readonly<Record<string, number>> = {
  ERR_HTTP_REQUEST_TIMEOUT: 408,
  HPE_HEADER_OVERFLOW: 431,
  HPE_CHUNK_EXTENSIONS_OVERFLOW: 413,
};

/**
 * What a client sent that is no request, or too slowly, ends its connection, with a status where no answer has begun: as
 * `node:http` does by itself, but that what is late is looked for once more.
 */
export function refuseBadRequests(server: Server): void {
  const late = new LateRequests(server);
  const last = new WeakMap<Duplex, ServerResponse>();
  server.on("request", ({ socket }, response) => last.set(socket, response));
  const refuse = (code: string, socket: Duplex): void => {
    const response = last.get(socket);
    const hasBegun = response?.headersSent === true && !response.writableFinished;
    const status = STATUS_OF[code] ?? 400;
    if (socket.writable && !hasBegun) {
      socket.write(`HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ""}\r\nConnection: close\r\n\r\n`);
    }
    socket.destroy();
  };
  server.on("clientError", ({ code = "" }: NodeJS.ErrnoException, socket) => {
    if (code === "ERR_HTTP_REQUEST_TIMEOUT") late.lookAgain(socket, () => refuse(code, socket));
    else refuse(code, socket);
  });
}
