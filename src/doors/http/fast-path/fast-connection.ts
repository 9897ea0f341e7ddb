import type { Socket } from "node:net";
import { ExecutorError } from "../../../core/index.ts";
import type { TimerWheel, WheelTimer } from "../../../std/index.ts";
import { refuseSocket } from "../answer/refuse-socket.ts";
import type { LegacyCaller, LegacyExchange } from "../legacy/call-legacy.ts";
import type { LegacyAnswer } from "../legacy/legacy-answer.ts";
import { nextRunId } from "../run-id.ts";
import { type FastHead, readFastHead } from "./request-head.ts";
import { writeAnswer } from "./write-answer.ts";

/** Requests sent ahead are held up to here; then the client has to wait. */
const AHEAD_LIMIT_BYTES = 64 * 1024;

export interface FastTimeouts {
  /** From a request's first byte (or the accept) to the end of its head. */
  readonly headTimeoutMs: number;
  readonly bodyTimeoutMs: number;
  /** Between two requests. */
  readonly keepAliveMs: number;
  /** A client that reads nothing of its answer for this long is cut off. */
  readonly writeTimeoutMs: number;
}

export interface FastConnectionOptions extends FastTimeouts {
  readonly legacy: LegacyCaller;
  readonly wheel: TimerWheel;
  isPlainHost(host: string): boolean;
  /** A request begins to be served. */
  onRequest(): void;
  onTimeout(): void;
  /** The connection is not of this kind: whoever takes it finds it as if these bytes had just come. */
  onOther(socket: Socket, bytes: Buffer): void;
}

/** `body`: the head is read, the body not whole. `answering`: the call runs. `draining`: the client is behind. */
type State = "idle" | "head" | "body" | "answering" | "draining" | "over";

/**
 * Serves plain execution requests straight from the socket:
 *
 *     idle ──► head ──► body ──► answering ──► (draining) ──► idle …
 *       └────────┴── anything else: handed over, at a request's first byte
 */
export class FastConnection {
  readonly #socket: Socket;
  readonly #options: FastConnectionOptions;
  readonly #timer: WheelTimer;
  #state: State = "idle";
  /** Bytes that are not served yet: part of a head, or requests sent ahead. */
  #held: Buffer | undefined;
  #head: FastHead | undefined;
  #body: Buffer | undefined;
  #filled = 0;
  #exchange: LegacyExchange | undefined;
  #unsent: LegacyAnswer | undefined;
  #idleSinceMs = performance.now();
  #isEnding = false;
  #isReading = false;

  constructor(socket: Socket, options: FastConnectionOptions) {
    this.#socket = socket;
    this.#options = options;
    this.#timer = options.wheel.timer(() => this.#onTimer());
    this.#timer.set(options.headTimeoutMs);
    socket.on("data", this.#onData);
    socket.on("end", this.#onEnd);
    socket.on("drain", this.#onDrain);
    socket.on("timeout", this.#destroy);
    socket.on("error", this.#destroy);
    socket.on("close", this.#onClose);
  }

  /** Since when it waits for a request; `undefined` while it has one. */
  get idleSinceMs(): number | undefined {
    return this.#state === "idle" ? this.#idleSinceMs : undefined;
  }

  /** Ends it now if it is idle, otherwise with its answer. */
  endSoon(): void {
    this.#isEnding = true;
    if (this.#state === "idle") this.#endNow();
  }

  destroy(): void {
    this.#destroy();
  }

  readonly #onData = (chunk: Buffer): void => {
    const bytes = this.#held === undefined ? chunk : Buffer.concat([this.#held, chunk]);
    this.#held = undefined;
    if (this.#state === "answering" || this.#state === "draining") {
      this.#held = bytes;
      if (bytes.length > AHEAD_LIMIT_BYTES) this.#socket.pause();
      return;
    }
    this.#read(bytes);
  };

  /** Serves what is there, request after request, until one has to wait for something. */
  #read(first: Buffer): void {
    this.#isReading = true;
    let bytes = first;
    while (bytes.length > 0 && this.#state !== "over") {
      if (this.#state === "answering" || this.#state === "draining") {
        this.#held = bytes;
        break;
      }
      const rest = this.#state === "body" ? this.#readBody(bytes) : this.#readHead(bytes);
      if (rest === undefined) break;
      bytes = rest;
    }
    this.#isReading = false;
  }

  #readHead(bytes: Buffer): Buffer | undefined {
    const head = this.#repeatedHead(bytes) ?? readFastHead(bytes, this.#options.isPlainHost);
    if (head === "other") {
      this.#handOver(bytes);
      return undefined;
    }
    if (head === "partial") {
      this.#held = bytes;
      // The clock runs from the request's first byte.
      if (this.#state === "idle") this.#timer.set(this.#options.headTimeoutMs);
      this.#state = "head";
      return undefined;
    }
    this.#head = head;
    const start = head.bytes.length;
    const end = start + head.bodyLength;
    if (bytes.length >= end) {
      const rest = bytes.subarray(end);
      this.#serve(bytes.subarray(start, end));
      return rest;
    }
    this.#state = "body";
    this.#body = Buffer.allocUnsafeSlow(head.bodyLength);
    this.#filled = 0;
    this.#timer.set(this.#options.bodyTimeoutMs);
    return bytes.subarray(start);
  }

  /** A client mostly sends one and the same head again and again. */
  #repeatedHead(bytes: Buffer): FastHead | undefined {
    const last = this.#head;
    if (last === undefined || bytes.length < last.bytes.length) return undefined;
    return last.bytes.compare(bytes, 0, last.bytes.length) === 0 ? last : undefined;
  }

  #readBody(bytes: Buffer): Buffer | undefined {
    const body = this.#body;
    if (body === undefined) return undefined;
    const taken = bytes.copy(body, this.#filled);
    this.#filled += taken;
    if (this.#filled < body.length) return undefined;
    this.#body = undefined;
    this.#serve(body);
    return bytes.subarray(taken);
  }

  #serve(body: Buffer): void {
    this.#timer.clear();
    this.#state = "answering";
    this.#options.onRequest();
    const exchange = this.#options.legacy.call(body, this.#onAnswer);
    if (this.#state === "answering") this.#exchange = exchange;
  }

  readonly #onAnswer = (answer: LegacyAnswer): void => {
    this.#exchange = undefined;
    if (writeAnswer(this.#socket, answer, this.#isEnding)) {
      answer.release();
      this.#next();
      return;
    }
    this.#state = "draining";
    this.#unsent = answer;
    // The socket's own timeout counts from the last byte that the client took; it is set only in this rare case.
    this.#socket.setTimeout(this.#options.writeTimeoutMs);
  };

  readonly #onDrain = (): void => {
    if (this.#state !== "draining") return;
    this.#socket.setTimeout(0);
    this.#unsent?.release();
    this.#unsent = undefined;
    this.#next();
  };

  #next(): void {
    if (this.#isEnding) {
      this.#endNow();
      return;
    }
    this.#state = "idle";
    this.#idleSinceMs = performance.now();
    this.#timer.set(this.#options.keepAliveMs);
    const held = this.#held;
    // Further down the stack `#read` goes on by itself.
    if (held === undefined || this.#isReading) return;
    this.#held = undefined;
    if (this.#socket.isPaused()) this.#socket.resume();
    this.#read(held);
  }

  #handOver(bytes: Buffer): void {
    this.#release();
    this.#socket.off("data", this.#onData);
    this.#socket.off("end", this.#onEnd);
    this.#socket.off("drain", this.#onDrain);
    this.#socket.off("timeout", this.#destroy);
    this.#socket.off("error", this.#destroy);
    this.#socket.off("close", this.#onClose);
    this.#options.onOther(this.#socket, bytes);
  }

  #onTimer(): void {
    if (this.#state === "idle") {
      this.#endNow();
      return;
    }
    this.#options.onTimeout();
    const part = this.#state === "body" ? "body" : "head";
    this.#release();
    this.#socket.off("data", this.#onData);
    const reason = `the request's ${part} came too slowly`;
    refuseSocket(this.#socket, new ExecutorError("REQUEST_TIMEOUT", { reason }), nextRunId());
  }

  /** The client closed its side: as on the slow path, it has gone. */
  readonly #onEnd = (): void => {
    this.#destroy();
  };

  #endNow(): void {
    this.#release();
    this.#socket.off("data", this.#onData);
    this.#socket.resume();
    this.#socket.end();
    // A client that leaves its side open must not keep the connection.
    const timer = this.#options.wheel.after(this.#options.headTimeoutMs, this.#destroy);
    this.#socket.once("close", timer);
  }

  readonly #destroy = (): void => {
    this.#onClose();
    this.#socket.destroy();
  };

  readonly #onClose = (): void => {
    const exchange = this.#exchange;
    this.#release();
    exchange?.cancel();
  };

  #release(): void {
    this.#state = "over";
    this.#timer.clear();
    this.#held = undefined;
    this.#body = undefined;
    this.#exchange = undefined;
    this.#unsent?.release();
    this.#unsent = undefined;
  }
}
