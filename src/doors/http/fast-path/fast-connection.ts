import type { Socket } from "node:net";
import { ExecutorError } from "../../../core/index.ts";
import type { TimerWheel, WheelTimer } from "../../../std/index.ts";
import { QuietTime } from "../answer/quiet-time.ts";
import { refuseSocket } from "../answer/refuse-socket.ts";
import type { LegacyCaller, LegacyExchange } from "../legacy/call-legacy.ts";
import { isWhole, type LegacyAnswer } from "../legacy/legacy-answer.ts";
import { type PieceWriter, type Pump, pumpPieces } from "../legacy/pump-pieces.ts";
import { nextRunId } from "../run-id.ts";
import { RequestReader } from "./request-reader.ts";
import { LAST_ANSWER, LAST_PIECE, writeAnswer, writePiece } from "./write-answer.ts";

/**
 * How long what is late may take once it is noticed. Clocks are looked at before what has come is read: when this process, or
 * the whole machine, has stood still, a request that was sent in time would be refused unread.
 */
const LOOK_AGAIN_MS = 200;
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
  /** What an answer says of its connection when another request may follow. */
  readonly keepAliveLines: string;
  isPlainHost(host: string): boolean;
  /** A request begins to be served. */
  onRequest(): void;
  onTimeout(): void;
  /** The connection is not of this kind: whoever takes it is to find it as if these bytes had just come. */
  onOther(socket: Socket, bytes: Buffer): void;
}

/** `head`, `body`: part of it has come. `answering`: the call runs. `draining`: the client is behind with its answer. */
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
  readonly #reader: RequestReader;
  readonly #timer: WheelTimer;
  #state: State = "idle";
  #idleSinceMs = performance.now();
  /** Requests sent ahead. */
  #ahead: Buffer | undefined;
  #exchange: LegacyExchange | undefined;
  #unsent: LegacyAnswer | undefined;
  #pump: Pump | undefined;
  /** Set while the client is behind with its answer. */
  #quiet: QuietTime | undefined;
  #isLastLook = false;
  #isEnding = false;
  #isReading = false;

  constructor(socket: Socket, options: FastConnectionOptions) {
    this.#socket = socket;
    this.#options = options;
    this.#reader = new RequestReader(options.isPlainHost);
    this.#timer = options.wheel.timer(() => this.#onTimer());
    this.#arm(options.headTimeoutMs);
    socket.on("data", this.#onData);
    socket.on("end", this.destroy);
    socket.on("drain", this.#onDrain);
    socket.on("timeout", this.#onQuiet);
    socket.on("error", this.destroy);
    socket.on("close", this.destroy);
  }

  /** Since when it waits for a request; `undefined` while it has one. */
  get idleSinceMs(): number | undefined {
    return this.#state === "idle" ? this.#idleSinceMs : undefined;
  }

  /** Ends it now if it is idle, otherwise with its answer. */
  endSoon(): void {
    this.#isEnding = true;
    if (this.#state === "idle") this.#end();
  }

  /** Ends it now and cancels what runs; as on the slow path, a client that has closed its side has gone. */
  readonly destroy = (): void => {
    const exchange = this.#exchange;
    this.#release();
    this.#socket.destroy();
    exchange?.cancel();
  };

  readonly #onData = (chunk: Buffer): void => {
    if (!this.#isServing()) {
      this.#read(chunk);
      return;
    }
    this.#ahead = this.#ahead === undefined ? chunk : Buffer.concat([this.#ahead, chunk]);
    if (this.#ahead.length > AHEAD_LIMIT_BYTES) this.#socket.pause();
  };

  #isServing(): boolean {
    return this.#state === "answering" || this.#state === "draining";
  }

  /** Serves what is there, request after request, until one has to wait for something. */
  #read(first: Buffer): void {
    this.#isReading = true;
    let bytes = first;
    while (bytes.length > 0 && this.#state !== "over") {
      if (this.#isServing()) {
        this.#ahead = bytes;
        break;
      }
      const result = this.#reader.read(bytes);
      if (result.type === "other") {
        this.#handOver(result.bytes);
        break;
      }
      if (result.type !== "request") {
        this.#await(result.type);
        break;
      }
      this.#serve(result.body);
      bytes = result.rest;
    }
    this.#isReading = false;
  }

  /** The clock of each part runs from its first byte, and does not start anew with further ones. */
  #await(part: "head" | "body"): void {
    if (this.#state === part) return;
    this.#state = part;
    this.#arm(part === "head" ? this.#options.headTimeoutMs : this.#options.bodyTimeoutMs);
  }

  #serve(body: Buffer): void {
    this.#timer.clear();
    this.#state = "answering";
    this.#options.onRequest();
    const exchange = this.#options.legacy.call(body, this.#onAnswer);
    // The answer may be there already.
    if (this.#isServing()) this.#exchange = exchange;
  }

  readonly #onAnswer = (answer: LegacyAnswer): void => {
    this.#exchange = undefined;
    const lines = this.#isEnding ? LAST_ANSWER : this.#options.keepAliveLines;
    const keepsUp = writeAnswer(this.#socket, answer, lines);
    if (keepsUp && isWhole(answer.body)) {
      answer.release();
      this.#next();
      return;
    }
    this.#state = "draining";
    this.#unsent = answer;
    // The socket's own timer is set only in this rare case.
    this.#quiet = new QuietTime(this.#options.writeTimeoutMs);
    this.#socket.setTimeout(this.#quiet.partMs);
    if (!isWhole(answer.body)) this.#pump = pumpPieces(answer.body, this.#pieces);
  };

  readonly #pieces: PieceWriter = {
    write: (piece) => writePiece(this.#socket, piece),
    end: () => {
      this.#pump = undefined;
      if (this.#socket.write(LAST_PIECE, "latin1")) this.#onDrain();
    },
  };

  readonly #onQuiet = (): void => {
    if (this.#quiet?.isOver(this.#socket) === false) this.#socket.setTimeout(this.#quiet.partMs);
    else this.destroy();
  };

  readonly #onDrain = (): void => {
    if (this.#state !== "draining") return;
    if (this.#pump !== undefined) {
      this.#pump.resume();
      return;
    }
    this.#socket.setTimeout(0);
    this.#quiet = undefined;
    this.#unsent?.release();
    this.#unsent = undefined;
    this.#next();
  };

  #next(): void {
    if (this.#isEnding) {
      this.#end();
      return;
    }
    this.#state = "idle";
    this.#idleSinceMs = performance.now();
    this.#arm(this.#options.keepAliveMs);
    const ahead = this.#ahead;
    // Further down the stack `#read` goes on by itself.
    if (ahead === undefined || this.#isReading) return;
    this.#ahead = undefined;
    if (this.#socket.isPaused()) this.#socket.resume();
    this.#read(ahead);
  }

  #handOver(bytes: Buffer): void {
    this.#release();
    this.#socket.off("data", this.#onData);
    this.#socket.off("drain", this.#onDrain);
    this.#socket.off("timeout", this.#onQuiet);
    for (const event of ["end", "error", "close"]) this.#socket.off(event, this.destroy);
    this.#options.onOther(this.#socket, bytes);
  }

  #arm(timeoutMs: number): void {
    this.#isLastLook = false;
    this.#timer.set(timeoutMs);
  }

  #onTimer(): void {
    if (!this.#isLastLook) {
      this.#isLastLook = true;
      this.#timer.set(LOOK_AGAIN_MS);
      return;
    }
    if (this.#state === "idle") {
      this.#end();
      return;
    }
    const reason = `the request's ${this.#state} came too slowly`;
    this.#options.onTimeout();
    this.#release();
    this.#socket.off("data", this.#onData);
    refuseSocket(this.#socket, new ExecutorError("REQUEST_TIMEOUT", { reason }), nextRunId());
  }

  #end(): void {
    this.#release();
    this.#socket.off("data", this.#onData);
    this.#socket.resume();
    this.#socket.end();
    // A client that leaves its side open must not keep the connection.
    this.#socket.once("close", this.#options.wheel.after(this.#options.headTimeoutMs, this.destroy));
  }

  #release(): void {
    this.#state = "over";
    this.#timer.clear();
    this.#ahead = undefined;
    this.#exchange = undefined;
    this.#pump?.stop();
    this.#pump = undefined;
    this.#unsent?.release();
    this.#unsent = undefined;
  }
}
