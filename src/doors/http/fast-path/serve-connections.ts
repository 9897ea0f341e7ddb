import type { Server } from "node:http";
import type { Socket } from "node:net";
import type { TimerWheel } from "../../../std/index.ts";
import type { LegacyCaller } from "../legacy/call-legacy.ts";
import { ConnectionCount } from "./connection-count.ts";
import { FastConnection, type FastConnectionOptions, type FastTimeouts } from "./fast-connection.ts";
import { keepAliveLines } from "./write-answer.ts";

export interface ConnectionLimits extends FastTimeouts {
  /** Open connections in all, and from one address. */
  readonly connections: number;
  readonly connectionsPerPeer: number;
}

export interface ServeConnectionsOptions {
  /** Listens itself, later; whatever is not served here is given to it. */
  readonly httpServer: Server;
  readonly legacy: LegacyCaller;
  readonly wheel: TimerWheel;
  readonly limits: ConnectionLimits;
  /** Whether a new connection may be served here at all; `false` while tokens are wanted. */
  isOn(): boolean;
  /** Whether a connection comes from somebody who may speak; the others are the slow path's to refuse. */
  isPlainPeer(socket: Socket): boolean;
  /** Whether a `Host` header names this daemon. */
  isPlainHost(host: string): boolean;
}

export interface ConnectionCounts {
  /** Open now, of either kind. */
  readonly open: number;
  /** Open now and served here. */
  readonly fast: number;
  /** Requests served here so far. */
  readonly requests: number;
  /** Connections given to `node:http` so far. */
  readonly handedOver: number;
  /** Connections closed at once because there were too many. */
  readonly refused: number;
  readonly timedOut: number;
}

/** Disposing it cuts what it still serves; the listening socket and the slow path's connections are not its own. */
export interface ServedConnections extends AsyncDisposable {
  counts(): ConnectionCounts;
  /** Ends idle connections now and the others with their answers; new ones all go to the slow path. */
  stopIdle(): void;
}

/**
 * Puts a fast path in front of `httpServer`: plain execution requests are parsed, run and answered on the accepted socket;
 * every other connection reaches `node:http` with all of its bytes, at the first request that is not plain. It also keeps
 * the number of connections, of both kinds, within its limits: the one that was idle longest goes first.
 */
export function serveConnections(options: ServeConnectionsOptions): ServedConnections {
  return new ConnectionServer(options);
}

class ConnectionServer implements ServedConnections {
  readonly #options: ServeConnectionsOptions;
  readonly #slowPath: (socket: Socket) => void;
  readonly #connectionOptions: FastConnectionOptions;
  readonly #fast = new Map<Socket, FastConnection>();
  readonly #count = new ConnectionCount();
  #requests = 0;
  #handedOver = 0;
  #refused = 0;
  #timedOut = 0;
  #isStopping = false;

  constructor(options: ServeConnectionsOptions) {
    const { httpServer, limits, legacy, wheel } = options;
    this.#options = options;
    const listeners = httpServer.listeners("connection");
    httpServer.removeAllListeners("connection");
    httpServer.on("connection", (socket: Socket) => this.#accept(socket));
    this.#slowPath = (socket) => {
      this.#handedOver += 1;
      for (const listener of listeners) listener.call(httpServer, socket);
    };
    this.#connectionOptions = {
      ...limits,
      legacy,
      wheel,
      keepAliveLines: keepAliveLines(limits.keepAliveMs),
      isPlainHost: (host) => options.isPlainHost(host),
      onRequest: () => {
        this.#requests += 1;
      },
      onTimeout: () => {
        this.#timedOut += 1;
      },
      onOther: (socket, bytes) => {
        this.#fast.delete(socket);
        socket.unshift(bytes);
        this.#slowPath(socket);
      },
    };
  }

  counts(): ConnectionCounts {
    return {
      open: this.#count.open,
      fast: this.#fast.size,
      requests: this.#requests,
      handedOver: this.#handedOver,
      refused: this.#refused,
      timedOut: this.#timedOut,
    };
  }

  stopIdle(): void {
    this.#isStopping = true;
    for (const connection of [...this.#fast.values()]) connection.endSoon();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isStopping = true;
    for (const connection of [...this.#fast.values()]) connection.destroy();
    // Their `close` events come before the loop turns twice.
    while (this.#fast.size > 0) await new Promise((resolve) => setImmediate(resolve));
  }

  #accept(socket: Socket): void {
    const peer = socket.remoteAddress ?? "";
    if (!this.#makeRoom(peer)) {
      this.#refused += 1;
      socket.destroy();
      return;
    }
    this.#count.add(peer);
    socket.once("close", () => {
      this.#count.remove(peer);
      this.#fast.delete(socket);
    });
    if (this.#isStopping || !this.#options.isOn() || !this.#options.isPlainPeer(socket)) {
      this.#slowPath(socket);
      return;
    }
    this.#fast.set(socket, new FastConnection(socket, this.#connectionOptions));
  }

  /** Whether one more connection may stay; if there are too many, an idle one is ended for it. */
  #makeRoom(peer: string): boolean {
    const { limits, httpServer } = this.#options;
    if (this.#count.from(peer) >= limits.connectionsPerPeer) {
      return this.#dropIdle((socket) => socket.remoteAddress === peer);
    }
    if (this.#count.open < limits.connections) return true;
    if (this.#dropIdle(() => true)) return true;
    // The slow path knows which of its connections are idle, but not since when.
    httpServer.closeIdleConnections();
    return false;
  }

  #dropIdle(isMeant: (socket: Socket) => boolean): boolean {
    let oldest: FastConnection | undefined;
    for (const [socket, connection] of this.#fast) {
      const { idleSinceMs } = connection;
      if (idleSinceMs === undefined || !isMeant(socket)) continue;
      if (idleSinceMs < (oldest?.idleSinceMs ?? Number.POSITIVE_INFINITY)) oldest = connection;
    }
    oldest?.destroy();
    return oldest !== undefined;
  }
}
