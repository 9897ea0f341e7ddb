import type { AnswerHead } from "../../core/index.ts";
import { broken, HEAD_LIMIT_BYTES, type ParsedHead, parseHead } from "./answer-head.ts";
import { ChunkedBody } from "./chunked-body.ts";

/** Interim answers (1xx) that are skipped before the real one. */
const INTERIM_LIMIT = 16;
const CR = 13;
const LF = 10;

/** The last head that a server sent: servers repeat themselves, byte for byte, for up to a second. */
export interface HeadMemory {
  last: { readonly bytes: Buffer; readonly parsed: ParsedHead } | undefined;
}

export interface ParserEvents {
  onHead(head: AnswerHead): void;
  onData(chunk: Uint8Array): void;
}

/**
 * Turns the bytes of one answer into events, whatever way they are split:
 *
 *     head ──► (interim: head again) ──► none | length | chunked | close ──► done
 *
 * While paused it keeps what it was given and says nothing; `resume` goes on from there. A chunk is only valid during the call:
 * what is kept of one is a copy.
 */
export class AnswerParser {
  readonly #events: ParserEvents;
  readonly #memory: HeadMemory;
  #parsed: ParsedHead | undefined;
  #held: Buffer | undefined;
  #left = 0;
  #chunked: ChunkedBody | undefined;
  #interim = 0;
  #isPaused = false;
  #hasEnded = false;
  #hasBytes = false;
  #isDone = false;
  #hasExcess = false;

  constructor(events: ParserEvents, memory: HeadMemory) {
    this.#events = events;
    this.#memory = memory;
  }

  /** Whether the whole answer has been handed on. */
  get isDone(): boolean {
    return this.#isDone && !this.#isPaused;
  }

  get hasBytes(): boolean {
    return this.#hasBytes;
  }

  /** Whether another request may follow on the connection, and how long it may idle before. */
  get reuse(): { readonly keepAliveMs: number | undefined } | undefined {
    if (!this.#isDone || this.#hasExcess || this.#parsed?.isKeepAlive !== true) return undefined;
    return { keepAliveMs: this.#parsed.keepAliveMs };
  }

  pause(): void {
    this.#isPaused = true;
  }

  /** @throws {@link ExecutorError} TASK_PROTOCOL. */
  resume(): void {
    this.#isPaused = false;
    const held = this.#held;
    if (held !== undefined && this.#parsed !== undefined) {
      this.#held = undefined;
      this.#readBody(held, 0);
    }
    if (this.#hasEnded) this.end();
  }

  /** @throws {@link ExecutorError} TASK_PROTOCOL. */
  push(chunk: Buffer): void {
    this.#hasBytes = true;
    this.#take(chunk);
    if (this.#held?.buffer === chunk.buffer) this.#held = Buffer.from(this.#held);
  }

  /** The server closed its side. Only an answer that ends with its connection is done by that. */
  end(): void {
    this.#hasEnded = true;
    if (this.#isPaused) return;
    if (this.#parsed?.framing === "close") this.#isDone = true;
  }

  #take(chunk: Buffer): void {
    if (this.#parsed !== undefined) {
      const held = this.#held;
      this.#held = undefined;
      this.#readBody(held === undefined ? chunk : Buffer.concat([held, chunk]), 0);
      return;
    }
    const last = this.#memory.last;
    const length = last?.bytes.length ?? 0;
    if (last !== undefined && this.#held === undefined && chunk.length >= length) {
      if (last.bytes.compare(chunk, 0, length) === 0) {
        this.#onHead(last.parsed, chunk, length);
        return;
      }
    }
    this.#readHead(chunk);
  }

  #readHead(chunk: Buffer): void {
    const heldLength = this.#held?.length ?? 0;
    const bytes = this.#held === undefined ? chunk : Buffer.concat([this.#held, chunk]);
    this.#held = undefined;
    const end = findHeadEnd(bytes, Math.max(0, heldLength - 2));
    if (end > HEAD_LIMIT_BYTES || (end === -1 && bytes.length > HEAD_LIMIT_BYTES)) {
      throw broken("a head above the limit");
    }
    if (end === -1) {
      this.#held = bytes;
      return;
    }
    const parsed = parseHead(bytes.toString("latin1", 0, end));
    if (parsed.head.status < 200) {
      this.#skipInterim(parsed.head.status, bytes.subarray(end));
      return;
    }
    this.#memory.last = { bytes: Buffer.from(bytes.subarray(0, end)), parsed };
    this.#onHead(parsed, bytes, end);
  }

  #skipInterim(status: number, rest: Buffer): void {
    this.#interim += 1;
    if (status === 101 || this.#interim > INTERIM_LIMIT) throw broken("an interim answer nobody asked for");
    if (rest.length > 0) this.#readHead(rest);
  }

  #onHead(parsed: ParsedHead, bytes: Buffer, offset: number): void {
    this.#parsed = parsed;
    this.#left = parsed.length;
    if (parsed.framing === "chunked") this.#chunked = new ChunkedBody();
    this.#events.onHead(parsed.head);
    this.#readBody(bytes, offset);
  }

  #readBody(bytes: Buffer, offset: number): void {
    let at = offset;
    while (!this.#isPaused && !this.#isDone) {
      if (this.#isWhole()) {
        this.#isDone = true;
        break;
      }
      if (at >= bytes.length) return;
      at = this.#readPiece(bytes, at);
    }
    if (this.#isDone) this.#hasExcess ||= at < bytes.length;
    else if (at < bytes.length) this.#held = bytes.subarray(at);
    else if (this.#isWhole()) this.#isDone = true;
  }

  #isWhole(): boolean {
    const framing = this.#parsed?.framing;
    if (framing === "chunked") return this.#chunked?.isDone === true;
    return framing !== "close" && this.#left === 0;
  }

  #readPiece(bytes: Buffer, at: number): number {
    if (this.#chunked !== undefined) {
      const piece = this.#chunked.read(bytes, at);
      if (piece.data !== undefined) this.#events.onData(piece.data);
      return piece.offset;
    }
    const end = this.#parsed?.framing === "close" ? bytes.length : Math.min(bytes.length, at + this.#left);
    this.#left -= end - at;
    this.#events.onData(bytes.subarray(at, end));
    return end;
  }
}

/** The offset behind the first empty line at or after `from`, or -1. */
function findHeadEnd(bytes: Buffer, from: number): number {
  for (let at = from; at < bytes.length; at += 1) {
    if (bytes[at] !== LF) continue;
    if (bytes[at + 1] === LF) return at + 2;
    if (bytes[at + 1] === CR && bytes[at + 2] === LF) return at + 3;
  }
  return -1;
}
