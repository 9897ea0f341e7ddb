import type { IncomingMessage, Server, ServerResponse } from "node:http";
import { createServer, STATUS_CODES } from "node:http";
import type { AddressInfo, Socket } from "node:net";
import type { Duplex } from "node:stream";
import type { PeerAddress } from "../../../core/index.ts";
import { notListening } from "../../../std/index.ts";
import type { ForwardTimes } from "./forward.ts";
import { forward, forwardUpgrade } from "./forward.ts";
import { preflightHeaders, withCors } from "./proxy-headers.ts";
import type { Refusal, Route } from "./route.ts";
import { chooseRoute } from "./route.ts";

export interface SandboxProxyOptions {
  readonly host: string;
  /** 0 takes a free one. */
  readonly port: number;
  readonly times: ForwardTimes;
  route(sandboxId: string, port: number): Route;
  /** Whether a peer is a task or a sandbox of this host, which may call neither this host's doors nor its neighbours. */
  isTaskAddress(peer: PeerAddress): boolean;
}

/** What brings requests to sandboxes, and to nothing else. */
export interface SandboxProxy extends AsyncDisposable {
  readonly port: number;
}

const MOST_CONNECTIONS = 4096;
const HEAD_BYTES = 64 * 1024;
const HEAD_TIMEOUT_MS = 10_000;
const KEEP_ALIVE_MS = 60_000;
/** For what a client sends on although it was refused. */
const LINGER_MS = 5_000;

/**
 * Listens for requests to sandboxes: HTTP/1.1 with streamed bodies both ways, and upgrades such as WebSocket.
 *
 * @throws {@link ExecutorError} ADDRESS_IN_USE; CONFIG_INVALID for an address that cannot be listened on.
 */
export async function openSandboxProxy(options: SandboxProxyOptions): Promise<SandboxProxy> {
  const { host, port, times, route } = options;
  const server = createServer(
    { maxHeaderSize: HEAD_BYTES, noDelay: true, keepAlive: true },
    (request, response) => {
      if (answerPreflight(request, response)) return;
      const chosen = chooseRoute(request.headers, route);
      if ("status" in chosen) refuse(request, response, chosen);
      else forward(request, response, chosen, times, (refusal) => refuse(request, response, refusal));
    },
  );
  server.maxConnections = MOST_CONNECTIONS;
  server.headersTimeout = HEAD_TIMEOUT_MS;
  // Bodies may take as long as they flow; a side that stands still is noticed by the times above.
  server.requestTimeout = 0;
  server.keepAliveTimeout = KEEP_ALIVE_MS;
  const upgraded = new Set<Duplex>();
  server.on("upgrade", (request: IncomingMessage, socket: Duplex, head: Buffer) => {
    upgraded.add(socket);
    socket.once("close", () => upgraded.delete(socket));
    const chosen = chooseRoute(request.headers, route);
    if ("status" in chosen) refuseSocket(socket, chosen);
    else forwardUpgrade(request, socket, head, chosen, times, (refusal) => refuseSocket(socket, refusal));
  });
  server.on("connection", (socket: Socket) => {
    if (options.isTaskAddress(peerOf(socket))) socket.destroy();
  });
  server.on("connect", (_request, socket) =>
    refuseSocket(socket, { status: 405, code: "PROXY_ERROR", error: "this proxy opens no tunnels" }),
  );
  server.on("clientError", (_error, socket) => {
    if (socket.writable)
      refuseSocket(socket, { status: 400, code: "PROXY_ERROR", error: "this is not HTTP/1.1" });
    else socket.destroy();
  });
  await listen(server, host, port);
  return {
    port: (server.address() as AddressInfo).port,
    async [Symbol.asyncDispose]() {
      const closed = new Promise<void>((resolve) => {
        server.close(() => resolve());
      });
      server.closeAllConnections();
      for (const socket of upgraded) socket.destroy();
      await closed;
    },
  };
}

function listen(server: Server, host: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", (cause) => reject(notListening({ host, port, section: "indexify.proxy" }, cause)));
    server.listen({ host, port }, () => resolve());
  });
}

function peerOf({ remoteAddress, remotePort, localAddress, localPort }: Socket): PeerAddress {
  return {
    remoteAddress: plainAddress(remoteAddress),
    remotePort: remotePort ?? 0,
    localAddress: plainAddress(localAddress),
    localPort: localPort ?? 0,
  };
}

/** A listener of both families says IPv4 in the words of IPv6. */
function plainAddress(address = ""): string {
  return address.replace(/^::ffff:(?=\d+\.)/i, "");
}

/** A browser asks without the header that names the sandbox: nobody but the proxy can answer. */
function answerPreflight({ method, headers }: IncomingMessage, response: ServerResponse): boolean {
  const wanted = headers["access-control-request-method"];
  if (method !== "OPTIONS" || headers.origin === undefined || wanted === undefined) return false;
  response.writeHead(204, preflightHeaders(wanted, headers["access-control-request-headers"])).end();
  return true;
}

function refuse(request: IncomingMessage, response: ServerResponse, refusal: Refusal): void {
  if (response.headersSent) {
    // Half an answer is told from a whole one by its end.
    response.destroy();
    return;
  }
  const { status, error, code } = refusal;
  const body = JSON.stringify({ error, code });
  const head = ["Content-Type", "application/json", "Content-Length", String(Buffer.byteLength(body))];
  response.writeHead(status, withCors(head, request.headers.origin)).end(body);
  if (request.complete) return;
  // A connection that is closed under what still comes takes the answer with it: the rest is read for a moment, and thrown away.
  request.unpipe();
  request.resume();
  const linger = setTimeout(() => request.destroy(), LINGER_MS);
  request.once("close", () => clearTimeout(linger));
}

function refuseSocket(socket: Duplex, { status, error, code }: Refusal): void {
  const body = JSON.stringify({ error, code });
  socket.on("error", () => socket.destroy());
  socket.end(
    `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ""}\r\nContent-Type: application/json\r\n` +
      `Content-Length: ${Buffer.byteLength(body)}\r\nConnection: close\r\n\r\n${body}`,
  );
}
