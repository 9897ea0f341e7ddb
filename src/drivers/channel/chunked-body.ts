import { broken, HEAD_LIMIT_BYTES } from "./answer-head.ts";

/** The longest line that may announce a chunk, its extensions included. */
const SIZE_LINE_LIMIT_BYTES = 1024;
const CR = 13;
const LF = 10;
const SIZE_LINE = /^([0-9A-Fa-f]{1,12})[\t ]*(?:;[\t\x20-\x7e\x80-\xff]*)?$/;
const TRAILER_LINE = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+:[\t\x20-\x7e\x80-\xff]*$/;

type State = "size" | "data" | "data-end" | "trailer" | "done";

/** Undoes the chunked coding, RFC 9112 section 7.1, from any split of the bytes. Trailers are checked and dropped. */
export class ChunkedBody {
  #state: State = "size";
  #left = 0;
  /** The part of a line that has come so far. */
  #line = "";
  #trailerBytes = 0;

  get isDone(): boolean {
    return this.#state === "done";
  }

  /**
   * Takes bytes from `offset` on and stops after one piece of data, so that its receiver may pause in between.
   *
   * @returns how far it read, and the piece, if there was one.
   * @throws {@link ExecutorError} TASK_PROTOCOL.
   */
  read(bytes: Buffer, offset: number): { readonly offset: number; readonly data: Buffer | undefined } {
    let at = offset;
    while (at < bytes.length && this.#state !== "done") {
      if (this.#state === "data") {
        const end = Math.min(bytes.length, at + this.#left);
        this.#left -= end - at;
        if (this.#left === 0) this.#state = "data-end";
        return { offset: end, data: bytes.subarray(at, end) };
      }
      at = this.#readLine(bytes, at);
    }
    return { offset: at, data: undefined };
  }

  #readLine(bytes: Buffer, offset: number): number {
    const end = bytes.indexOf(LF, offset);
    const upTo = end === -1 ? bytes.length : end + 1;
    const limit = this.#state === "trailer" ? HEAD_LIMIT_BYTES : SIZE_LINE_LIMIT_BYTES;
    if (this.#line.length + upTo - offset > limit) throw broken("a chunk's line that does not end");
    this.#line += bytes.toString("latin1", offset, upTo);
    if (end === -1) return upTo;
    if (this.#line.charCodeAt(this.#line.length - 2) !== CR) throw broken("a chunk's line without CR");
    const line = this.#line.slice(0, -2);
    this.#line = "";
    this.#onLine(line);
    return upTo;
  }

  #onLine(line: string): void {
    if (this.#state === "data-end") {
      if (line !== "") throw broken("a chunk that is longer than announced");
      this.#state = "size";
      return;
    }
    if (this.#state === "size") {
      const size = SIZE_LINE.exec(line)?.[1];
      if (size === undefined) throw broken("a malformed chunk size");
      this.#left = Number.parseInt(size, 16);
      this.#state = this.#left === 0 ? "trailer" : "data";
      return;
    }
    if (line === "") {
      this.#state = "done";
      return;
    }
    this.#trailerBytes += line.length + 2;
    if (this.#trailerBytes > HEAD_LIMIT_BYTES) throw broken("trailers above the limit");
    if (!TRAILER_LINE.test(line)) throw broken("a malformed trailer");
  }
}
