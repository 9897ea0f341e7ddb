import { isUtf8 } from "node:buffer";
import type { TaskSpec } from "../../core/index.ts";
import { type ExecutionRequest, parseExecutionRequest } from "./execution-request.ts";
import { ENVELOPE_LIMIT_BYTES, inputStart, isInputBetween } from "./request-envelope.ts";

/** Above this a body is neither learnt from nor unescaped in part: parsing it whole is no slower. */
const LARGE_BYTES = 64 * 1024;
const MEMORY_SIZE = 256;
const QUOTE = 34;
const BACKSLASH = 92;
/** In latin1: what a string literal may not hold as it stands. */
const NOT_LITERAL = /["\\\x00-\x1f]/;
const NOT_ASCII = /[\x80-\xff]/;

/** The bytes around an input that came before, and the task they ask for. */
interface Envelope {
  readonly rest: Buffer;
  readonly task: TaskSpec;
}

/**
 * Parses execution requests and remembers their envelopes: a client sends the same bytes around each of its inputs, so that
 * mostly only the input is left to parse. It gives exactly what {@link parseExecutionRequest} gives, because an envelope is
 * only remembered after it was seen, with two different inputs, that its `input` is the string at that place: JSON being
 * what it is, any other string there changes nothing else. The task of one envelope is one object for as long as it is remembered.
 */
export class ExecutionRequestReader {
  readonly #envelopes = new Map<string, Envelope>();
  /** Envelopes that came once: what never comes twice is not worth the two further looks. */
  readonly #seenOnce = new Set<string>();

  parse(body: Buffer): ExecutionRequest {
    const start = inputStart(body);
    if (start === -1) return parseExecutionRequest(body);
    const prefix = body.toString("latin1", 0, start);
    const known = this.#envelopes.get(prefix);
    if (known !== undefined) {
      const input = inputWithin(body, start, known.rest);
      if (input !== undefined) return { type: "request", task: known.task, input };
    }
    return this.#learn(body, start, prefix);
  }

  #learn(body: Buffer, start: number, prefix: string): ExecutionRequest {
    const parsed = parseExecutionRequest(body);
    if (body.length > LARGE_BYTES) return parsed;
    const end = literalEnd(body, start);
    if (parsed.type !== "request" || end === -1 || body.length - end > ENVELOPE_LIMIT_BYTES) return parsed;
    const rest = Buffer.from(body.subarray(end));
    const whole = prefix + rest.toString("latin1");
    if (!this.#seenOnce.delete(whole)) {
      this.#seenOnce.add(whole);
      if (this.#seenOnce.size > MEMORY_SIZE) forgetOldest(this.#seenOnce);
      return parsed;
    }
    if (!isInputBetween(body.subarray(0, start), rest)) return parsed;
    this.#envelopes.delete(prefix);
    this.#envelopes.set(prefix, { rest, task: parsed.task });
    if (this.#envelopes.size > MEMORY_SIZE) forgetOldest(this.#envelopes);
    return parsed;
  }
}

function forgetOldest(memory: Map<string, unknown> | Set<string>): void {
  for (const oldest of memory.keys()) {
    memory.delete(oldest);
    return;
  }
}

/** The input as bytes if the body is a string literal from `start` on and then exactly `rest`. */
function inputWithin(body: Buffer, start: number, rest: Buffer): Buffer | undefined {
  const end = body.length - rest.length;
  if (end < start || rest.compare(body, end) !== 0) return undefined;
  if (body.length > LARGE_BYTES && body.includes(BACKSLASH, start)) return undefined;
  const text = body.toString("latin1", start, end);
  if (!NOT_LITERAL.test(text)) {
    const bytes = body.subarray(start, end);
    return !NOT_ASCII.test(text) || isUtf8(bytes) ? bytes : undefined;
  }
  try {
    const input: unknown = JSON.parse(`"${body.toString("utf8", start, end)}"`);
    return typeof input === "string" ? Buffer.from(input, "utf8") : undefined;
  } catch {
    // Not one literal: the whole body has to be looked at.
    return undefined;
  }
}

/** Where the closing quote of the literal is that begins at `start`, or -1. */
function literalEnd(body: Buffer, start: number): number {
  for (let at = start; at < body.length; at += 1) {
    if (body[at] === QUOTE) return at;
    if (body[at] === BACKSLASH) at += 1;
  }
  return -1;
}
