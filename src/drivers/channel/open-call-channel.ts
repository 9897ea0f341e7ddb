import {
  type AnswerSink,
  type CallChannel,
  type CallRequest,
  type Endpoint,
  type Exchange,
  ExecutorError,
  type OpenChannel,
} from "../../core/index.ts";
import type { TimerWheel } from "../../std/index.ts";
import type { HeadMemory } from "./answer-parser.ts";
import { ChannelExchange } from "./channel-exchange.ts";
import { Connection, type ConnectionOptions } from "./connection.ts";
import { keepsConnection } from "./keeps-connection.ts";
import { RequestHeads } from "./request-head.ts";
import { WaitingLine } from "./waiting-line.ts";

export interface CallChannelOptions {
  readonly wheel: TimerWheel;
  /** Connections to one sandbox that are opened as soon as they are wanted: more of them serve short calls no faster. */
  readonly connections?: number;
  /** Connections at most: further ones are opened for calls that the others would keep waiting for more than a second. */
  readonly mostConnections?: number;
  /** Requests that wait for a connection at most; a further one fails with QUEUE_FULL. */
  readonly waiting?: number;
  /** How long a connection may take to be accepted. */
  readonly connectTimeoutMs?: number;
  /** An idle connection older than this is not used again: common servers close theirs after 5 s. */
  readonly idleLimitMs?: number;
}

/** How often the pace of a full channel is looked at, and in how many such turns a waiting call should have its connection. */
const PACE_MS = 100;
const PATIENCE_TURNS = 10;

/**
 * Makes the factory of channels: a small HTTP/1.1 client whose cost per request is one write, one read and no promise. It
 * has no deadline for an answer: who sends also cancels.
 */
export function openCallChannel(options: CallChannelOptions): OpenChannel {
  return (endpoint) => new HttpChannel(endpoint, options);
}

/** The last connection that became idle is the first to be used again, so that surplus ones grow old and close. */
class HttpChannel implements CallChannel {
  readonly #options: Required<CallChannelOptions>;
  readonly #connectionOptions: ConnectionOptions;
  readonly #idle: Connection[] = [];
  readonly #open = new Set<Connection>();
  readonly #waiting = new WaitingLine<ChannelExchange>();
  readonly #forget = (exchange: ChannelExchange): void => {
    this.#waiting.delete(exchange);
  };
  #isSweeping = false;
  #isPacing = false;
  /** Connections that became free since the pace was last looked at. */
  #freed = 0;
  #isClosed = false;

  constructor(endpoint: Endpoint, options: CallChannelOptions) {
    this.#options = {
      connections: 64,
      mostConnections: 4096,
      waiting: 65_536,
      connectTimeoutMs: 5000,
      idleLimitMs: 4000,
      ...options,
    };
    const memory: HeadMemory = { last: undefined };
    this.#connectionOptions = {
      endpoint,
      heads: new RequestHeads(endpoint),
      memory,
      wheel: options.wheel,
      idleLimitMs: this.#options.idleLimitMs,
      connectTimeoutMs: this.#options.connectTimeoutMs,
      onIdle: (connection) => this.#onIdle(connection),
      onClosed: (connection, retry) => this.#onClosed(connection, retry),
    };
  }

  send(request: CallRequest, sink: AnswerSink): Exchange {
    const exchange = new ChannelExchange(request, sink, this.#forget);
    if (this.#isClosed) this.#refuse(exchange, "its sandbox is ending");
    else this.#dispatch(exchange);
    return exchange;
  }

  close(): void {
    this.#isClosed = true;
    for (const connection of this.#idle.splice(0)) connection.abandon();
    for (let next = this.#waiting.take(); next !== undefined; next = this.#waiting.take())
      this.#refuse(next, "its sandbox is ending");
  }

  serverEnded(): void {
    this.close();
    for (const connection of this.#open) connection.serverEnded();
  }

  takesConnections(): Promise<boolean> {
    return keepsConnection(this.#connectionOptions.endpoint);
  }

  #dispatch(exchange: ChannelExchange): void {
    const idle = this.#takeIdle();
    if (idle !== undefined) idle.begin(exchange);
    else if (this.#open.size < this.#options.connections) this.#connect(exchange);
    else if (this.#waiting.size < this.#options.waiting) this.#wait(exchange);
    else {
      // Not unreachable: the sandbox is well, and must not be given up for it.
      const limit = this.#options.waiting;
      this.#fail(
        exchange,
        new ExecutorError("QUEUE_FULL", { limit, reason: "too many calls for one sandbox" }),
      );
    }
  }

  #wait(exchange: ChannelExchange): void {
    this.#waiting.add(exchange);
    this.#paceLater();
  }

  #paceLater(): void {
    if (this.#isPacing) return;
    this.#isPacing = true;
    this.#freed = 0;
    this.#options.wheel.after(PACE_MS, () => this.#keepPace());
  }

  /** Long calls must not keep others from a task that could serve them too: opens what the pace so far will not free soon. */
  #keepPace(): void {
    this.#isPacing = false;
    const soon = this.#freed * PATIENCE_TURNS;
    const room = this.#options.mostConnections - this.#open.size;
    for (let more = Math.min(this.#waiting.size - soon, room); more > 0; more -= 1) {
      const next = this.#waiting.take();
      if (next !== undefined) this.#connect(next);
    }
    if (this.#waiting.size > 0) this.#paceLater();
  }

  #takeIdle(): Connection | undefined {
    if (this.#idle.length === 0) return undefined;
    const nowMs = performance.now();
    for (let last = this.#idle.pop(); last !== undefined; last = this.#idle.pop()) {
      if (last.isFresh(nowMs)) return last;
      last.abandon();
    }
    return undefined;
  }

  #connect(exchange: ChannelExchange): void {
    const connection = new Connection(exchange, this.#connectionOptions);
    this.#open.add(connection);
  }

  /** Nothing of it was sent. The sink hears of it after `send` has returned. */
  #refuse(exchange: ChannelExchange, reason: string): void {
    this.#fail(exchange, new ExecutorError("TASK_UNREACHABLE", { reason }));
  }

  #fail(exchange: ChannelExchange, error: ExecutorError): void {
    process.nextTick(() => {
      exchange.fail(error);
    });
  }

  #onIdle(connection: Connection): void {
    if (this.#isClosed) {
      connection.abandon();
      return;
    }
    this.#freed += 1;
    const next = this.#waiting.take();
    if (next !== undefined) {
      connection.begin(next);
      return;
    }
    this.#idle.push(connection);
    this.#sweepLater();
  }

  #onClosed(connection: Connection, retry: ChannelExchange | undefined): void {
    this.#open.delete(connection);
    const at = this.#idle.indexOf(connection);
    if (at !== -1) this.#idle.splice(at, 1);
    if (retry !== undefined) {
      retry.hasMoved = true;
      if (this.#isClosed) this.#refuse(retry, "its sandbox is ending");
      else this.#connect(retry);
      return;
    }
    this.#freed += 1;
    const next = this.#isClosed ? undefined : this.#waiting.take();
    if (next !== undefined) this.#connect(next);
  }

  /** One timer for all idle connections instead of one for each. */
  #sweepLater(): void {
    if (this.#isSweeping) return;
    this.#isSweeping = true;
    this.#options.wheel.after(this.#options.idleLimitMs, () => {
      this.#isSweeping = false;
      const nowMs = performance.now();
      for (const connection of [...this.#idle]) if (!connection.isFresh(nowMs)) connection.abandon();
      if (this.#idle.length > 0) this.#sweepLater();
    });
  }
}
