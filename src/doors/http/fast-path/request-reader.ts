import { type FastHead, readFastHead } from "./request-head.ts";

/**
 * What the bytes so far are: a whole request and what follows it; part of a head or of a body, kept here; or something for
 * the slow path, with every byte that belongs to it.
 */
export type ReadResult =
  | { readonly type: "request"; readonly body: Buffer; readonly rest: Buffer }
  | { readonly type: "head" | "body" }
  | { readonly type: "other"; readonly bytes: Buffer };

const PARTIAL_HEAD: ReadResult = { type: "head" };
const PARTIAL_BODY: ReadResult = { type: "body" };

/** Cuts plain execution requests out of one connection's bytes. */
export class RequestReader {
  readonly #isPlainHost: (host: string) => boolean;
  #partialHead: Buffer | undefined;
  #head: FastHead | undefined;
  #body: Buffer | undefined;
  #filled = 0;

  constructor(isPlainHost: (host: string) => boolean) {
    this.#isPlainHost = isPlainHost;
  }

  /** Takes the next bytes; `rest` of an earlier result has to come first. */
  read(chunk: Buffer): ReadResult {
    if (this.#body !== undefined) return this.#readBody(this.#body, chunk);
    const bytes = this.#partialHead === undefined ? chunk : Buffer.concat([this.#partialHead, chunk]);
    this.#partialHead = undefined;
    const head = this.#repeatedHead(bytes) ?? readFastHead(bytes, this.#isPlainHost);
    if (head === "other") return { type: "other", bytes };
    if (head === "partial") {
      this.#partialHead = bytes;
      return PARTIAL_HEAD;
    }
    this.#head = head;
    const start = head.bytes.length;
    const end = start + head.bodyLength;
    if (bytes.length >= end) {
      return { type: "request", body: bytes.subarray(start, end), rest: bytes.subarray(end) };
    }
    this.#filled = 0;
    this.#body = Buffer.allocUnsafeSlow(head.bodyLength);
    return this.#readBody(this.#body, bytes.subarray(start));
  }

  /** A client mostly sends one and the same head again and again. */
  #repeatedHead(bytes: Buffer): FastHead | undefined {
    const last = this.#head;
    if (last === undefined || bytes.length < last.bytes.length) return undefined;
    return last.bytes.compare(bytes, 0, last.bytes.length) === 0 ? last : undefined;
  }

  #readBody(body: Buffer, bytes: Buffer): ReadResult {
    const taken = bytes.copy(body, this.#filled);
    this.#filled += taken;
    if (this.#filled < body.length) return PARTIAL_BODY;
    this.#body = undefined;
    return { type: "request", body, rest: bytes.subarray(taken) };
  }
}
