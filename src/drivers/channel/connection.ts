import { connect, type Socket } from "node:net";
import { type Endpoint, ExecutorError } from "../../core/index.ts";
import type { TimerWheel } from "../../std/index.ts";
import { AnswerParser, type HeadMemory } from "./answer-parser.ts";
import type { Carrier, ChannelExchange } from "./channel-exchange.ts";
import type { RequestHeads } from "./request-head.ts";
import { watchRest } from "./rest-watch.ts";
import { type RequestWrite, writeRequest } from "./write-request.ts";

/** What one read may bring. */
const READ_BYTES = 64 * 1024;
/**
 * Each read of every connection fills this buffer anew: a read and its chunk's whole way to the receiver are one turn. Without it
 * each read has a buffer of its own, and to collect those costs more than to read an answer that nobody wants.
 */
const read = Buffer.allocUnsafeSlow(READ_BYTES);

/** A server's own idle limit is undercut by this much, so that a request never crosses its closing. */
const KEEP_ALIVE_MARGIN_MS = 500;

export interface ConnectionOptions {
  readonly endpoint: Endpoint;
  readonly heads: RequestHeads;
  readonly memory: HeadMemory;
  readonly idleLimitMs: number;
  readonly connectTimeoutMs: number;
  readonly wheel: TimerWheel;
  /** It carries nothing any more and may be used again. */
  onIdle(connection: Connection): void;
  /** It is closed. `retry` is what it carried, when not a byte of that was sent. */
  onClosed(connection: Connection, retry: ChannelExchange | undefined): void;
}

/**
 * One socket to the task's server, one request at a time:
 *
 *     connecting ──► carrying ──► idle ──► carrying … ──► closed
 *
 * A request is written at most once. The one exception is a reused connection whose server had reset it before: then the
 * kernel refuses the very first write as a whole, nothing was sent, and the exchange is handed back for another connection.
 */
export class Connection implements Carrier {
  readonly #options: ConnectionOptions;
  readonly #socket: Socket;
  #exchange: ChannelExchange | undefined;
  #parser: AnswerParser | undefined;
  #write: RequestWrite | undefined;
  readonly #stopConnecting: () => void;
  #stopWatching: () => void = () => undefined;
  #isConnected = false;
  #isClosed = false;
  #uses = 0;
  #idleUntilMs = 0;
  #cause: Error | undefined;

  constructor(first: ChannelExchange, options: ConnectionOptions) {
    this.#options = options;
    this.#exchange = first;
    first.carriedBy(this);
    const { host, port } = options.endpoint;
    const onread = {
      buffer: read,
      callback: (bytes: number): boolean => {
        this.#onData(read.subarray(0, bytes));
        return true;
      },
    };
    this.#socket = connect({ host, port, noDelay: true, autoSelectFamily: false, onread });
    this.#socket
      .on("connect", () => this.#onConnect())
      .on("drain", () => this.#exchange?.source?.resume())
      .on("end", () => this.#onEnd())
      .on("error", (error) => {
        this.#cause = error;
      })
      .on("close", () => this.#onClose());
    this.#stopConnecting = options.wheel.after(options.connectTimeoutMs, () => {
      this.#fail(new ExecutorError("TASK_UNREACHABLE", { reason: "its port did not accept in time" }));
    });
  }

  /** Whether it may carry another request at this time: nobody may have closed it, and nothing unasked has come: that ends it. */
  isFresh(nowMs: number): boolean {
    return !this.#isClosed && !this.#socket.destroyed && nowMs < this.#idleUntilMs;
  }

  begin(exchange: ChannelExchange): void {
    this.#exchange = exchange;
    exchange.carriedBy(this);
    this.#start(exchange);
  }

  pause(): void {
    this.#parser?.pause();
    if (this.#isConnected) this.#socket.pause();
  }

  resume(): void {
    const parser = this.#parser;
    if (parser === undefined) return;
    try {
      parser.resume();
    } catch (error) {
      this.#fail(ExecutorError.from(error));
      return;
    }
    this.#settle(parser);
    if (this.#exchange !== undefined && this.#exchange.isPaused) return;
    if (this.#isClosed) this.#loseExchange();
    else this.#socket.resume();
  }

  abandon(): void {
    this.#parser?.pause();
    this.#destroy();
  }

  /** No more comes than is on its way; the connection's own end may be lost with its server. */
  serverEnded(): void {
    if (this.#isClosed) return;
    this.#stopWatching();
    this.#stopWatching = watchRest({
      wheel: this.#options.wheel,
      seen: () => (this.#exchange?.isPaused === true ? undefined : this.#socket.bytesRead),
      onNoMore: () => {
        const code = this.#uses > 0 ? "TASK_EXITED" : "TASK_UNREACHABLE";
        this.#fail(new ExecutorError(code, { reason: "its server has ended" }));
      },
    });
  }

  /** Closes it and fails what it carries, if anything. */
  #fail(error: Error): void {
    const exchange = this.#exchange;
    this.#destroy();
    exchange?.fail(error);
  }

  #destroy(): void {
    this.#exchange = undefined;
    this.#socket.destroy();
    this.#close(undefined);
  }

  #onConnect(): void {
    this.#isConnected = true;
    this.#stopConnecting();
    if (this.#exchange !== undefined) this.#start(this.#exchange);
  }

  #start(exchange: ChannelExchange): void {
    this.#uses += 1;
    const parser = new AnswerParser(exchange, this.#options.memory);
    this.#parser = parser;
    if (exchange.isPaused) this.pause();
    // A sink hears nothing before `send` has returned.
    const failLater = (error: unknown): void => {
      process.nextTick(() => {
        if (this.#exchange === exchange) this.#fail(ExecutorError.from(error));
      });
    };
    this.#write = undefined;
    try {
      this.#write = writeRequest(this.#socket, this.#options.heads, exchange, failLater);
    } catch (error) {
      failLater(error);
    }
  }

  #onData(chunk: Buffer): void {
    const parser = this.#parser;
    if (this.#exchange === undefined || parser === undefined) {
      // Bytes nobody asked for could be taken for the next answer.
      this.#destroy();
      return;
    }
    try {
      parser.push(chunk);
    } catch (error) {
      this.#fail(ExecutorError.from(error));
      return;
    }
    this.#settle(parser);
  }

  #onEnd(): void {
    const exchange = this.#exchange;
    const parser = this.#parser;
    if (exchange === undefined || parser === undefined) {
      this.#destroy();
      return;
    }
    parser.end();
    this.#settle(parser);
    // The rest can never come: waiting for our own half to be sent would only hide it.
    if (!exchange.isOver && !exchange.isPaused) this.#socket.destroy();
  }

  /** Ends the exchange if its answer is whole, and makes the connection free before the caller hears of it. */
  #settle(parser: AnswerParser): void {
    const exchange = this.#exchange;
    if (!parser.isDone || exchange === undefined || this.#parser !== parser) return;
    const { reuse } = parser;
    this.#exchange = undefined;
    this.#parser = undefined;
    // A server may answer before it has read the whole request; what is left of that would precede the next one.
    const isSent = this.#write?.isWhole === true && this.#socket.writableLength === 0;
    if (!isSent) exchange.source?.destroy();
    const idleMs = reuse === undefined || !isSent || this.#isClosed ? 0 : this.#idleMs(reuse.keepAliveMs);
    if (idleMs > 0) {
      this.#idleUntilMs = performance.now() + idleMs;
      this.#options.onIdle(this);
    } else this.#destroy();
    exchange.end();
  }

  #idleMs(serverMs: number | undefined): number {
    const { idleLimitMs } = this.#options;
    return serverMs === undefined ? idleLimitMs : Math.min(idleLimitMs, serverMs - KEEP_ALIVE_MARGIN_MS);
  }

  #onClose(): void {
    this.#isConnected = false;
    const exchange = this.#exchange;
    if (exchange !== undefined && this.#uses > 1 && !exchange.hasMoved && this.#wroteNothing()) {
      this.#exchange = undefined;
      this.#close(exchange);
      return;
    }
    this.#close(undefined);
    // What came before the end is still to be handed on when the receiver wants it.
    if (exchange?.isPaused !== true) this.#loseExchange();
  }

  #wroteNothing(): boolean {
    const error = this.#cause as NodeJS.ErrnoException | undefined;
    return (
      this.#write?.isAtomic === true &&
      this.#parser?.hasBytes === false &&
      error?.syscall === "write" &&
      (error.code === "EPIPE" || error.code === "ECONNRESET")
    );
  }

  #loseExchange(): void {
    const exchange = this.#exchange;
    this.#exchange = undefined;
    const wasSent = this.#uses > 0 && !this.#wroteNothing();
    const reason = (this.#cause as NodeJS.ErrnoException | undefined)?.code;
    const facts = reason === undefined ? {} : { reason };
    exchange?.fail(
      new ExecutorError(wasSent ? "TASK_EXITED" : "TASK_UNREACHABLE", facts, { cause: this.#cause }),
    );
  }

  #close(retry: ChannelExchange | undefined): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#stopConnecting();
    this.#stopWatching();
    this.#options.onClosed(this, retry);
  }
}
