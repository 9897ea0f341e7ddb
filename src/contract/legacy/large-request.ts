import { isUtf8 } from "node:buffer";
import { type ExecutionRequest, parseExecutionRequest } from "./execution-request.ts";
import { inputStart, isInputBetween } from "./request-envelope.ts";

/** Above this a request is worth parsing in steps. */
export const LARGE_REQUEST_BYTES = 256 * 1024;
const STEP_BYTES = 64 * 1024;
const REST_LIMIT_BYTES = 2048;
const QUOTE = 34;
const BACKSLASH = 92;
const LOWER_U = 117;
const SPACE = 32;

/** A part of a string literal that can be read by itself: it ends at no place inside of an escape, a pair or a sequence. */
interface Piece {
  readonly end: number;
  readonly hasEscapes: boolean;
  /** Whether the literal ends here. */
  readonly isLast: boolean;
}

/**
 * What {@link parseExecutionRequest} gives, in steps of a fraction of a millisecond, so that the loop may turn in between.
 * That works where one long `input` makes the request large, as it does in practice; any other is parsed in one last step.
 */
export function* readLargeRequest(
  body: Buffer,
  stepBytes = STEP_BYTES,
): Generator<void, ExecutionRequest, undefined> {
  const start = inputStart(body);
  const literal = start === -1 ? undefined : yield* readLiteral(body, start, stepBytes);
  if (literal === undefined) return parseExecutionRequest(body);
  const prefix = body.subarray(0, start);
  const rest = body.subarray(literal.end);
  if (rest.length > REST_LIMIT_BYTES || !isInputBetween(prefix, rest)) return parseExecutionRequest(body);
  const parsed = parseExecutionRequest(Buffer.concat([prefix, rest]));
  return parsed.type === "request" ? { ...parsed, input: literal.bytes } : parsed;
}

interface Literal {
  readonly bytes: Buffer;
  /** Where its closing quote is. */
  readonly end: number;
}

/** `undefined` where it is no literal. */
function* readLiteral(
  body: Buffer,
  start: number,
  stepBytes: number,
): Generator<void, Literal | undefined, undefined> {
  const parts: Buffer[] = [];
  let isVerbatim = true;
  for (let at = start; ; ) {
    const piece = nextPiece(body, at, stepBytes);
    if (piece === undefined) return undefined;
    const raw = body.subarray(at, piece.end);
    const bytes = unescape(raw, piece.hasEscapes);
    if (bytes === undefined) return undefined;
    parts.push(bytes);
    isVerbatim &&= bytes === raw;
    at = piece.end;
    if (piece.isLast) return { bytes: isVerbatim ? body.subarray(start, at) : Buffer.concat(parts), end: at };
    yield;
  }
}

/** The next piece of about `stepBytes`; `undefined` where the literal has no end or holds what it may not. */
function nextPiece(body: Buffer, start: number, stepBytes: number): Piece | undefined {
  let hasEscapes = false;
  let mayCut = false;
  for (let at = start; at < body.length; ) {
    const byte = body[at] ?? 0;
    if (byte === QUOTE) return { end: at, hasEscapes, isLast: true };
    if (byte < SPACE) return undefined;
    if (mayCut && at - start >= stepBytes && (byte & 0xc0) !== 0x80)
      return { end: at, hasEscapes, isLast: false };
    mayCut = true;
    if (byte !== BACKSLASH) {
      at += 1;
      continue;
    }
    hasEscapes = true;
    mayCut = !isHighSurrogate(body, at);
    at += body[at + 1] === LOWER_U ? 6 : 2;
  }
  return undefined;
}

/** `\ud83d` belongs together with the escape that follows it. */
function isHighSurrogate(body: Buffer, at: number): boolean {
  return body[at + 1] === LOWER_U && /^d[89ab]/i.test(body.toString("latin1", at + 2, at + 4));
}

/** The bytes that a piece stands for; its own where it stands for itself. */
function unescape(piece: Buffer, hasEscapes: boolean): Buffer | undefined {
  if (!hasEscapes) return isUtf8(piece) ? piece : Buffer.from(piece.toString("utf8"));
  try {
    return Buffer.from(JSON.parse(`"${piece.toString("utf8")}"`) as string, "utf8");
  } catch {
    // Whoever parses the whole says what is wrong.
    return undefined;
  }
}
