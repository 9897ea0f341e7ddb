/** The body of the execution request's answer, as clients hash it: `contracts/meca.md` section 2, "The answer's bytes". */

/** Up to here `encodeLegacyAnswer` holds the loop for about a millisecond; above, use {@link legacyAnswerPieces}. */
export const SMALL_ANSWER_BYTES = 256 * 1024;
const PIECE_BYTES = 64 * 1024;

const OPENINGS = {
  true: '{\n    "success": true,\n    "msg": "',
  false: '{\n    "success": false,\n    "msg": "',
} as const;
const CLOSING = '"\n}';

/** In latin1: whatever is not written as it stands, which includes every byte of a longer UTF-8 sequence. */
const NOT_PLAIN = /[^ !#-%'-;=?-[\]-\x7f]/;
const HTML = /[<>&\u2028\u2029]/;

/**
 * The whole answer as latin1 text if the task's answer needs no escape, which is the common case and the cheap one: it may
 * be written to a socket as it stands. `undefined` otherwise.
 */
export function plainLegacyAnswer(isSuccess: boolean, answer: Buffer): string | undefined {
  const text = answer.toString("latin1");
  return NOT_PLAIN.test(text) ? undefined : `${opening(isSuccess)}${text}${CLOSING}`;
}

/**
 * Wraps a task's answer: two members, four spaces, no newline at the end. What is not UTF-8 becomes U+FFFD, one for each
 * maximal part of a broken sequence, as every standard decoder does.
 */
export function encodeLegacyAnswer(isSuccess: boolean, answer: Buffer): Buffer {
  const plain = plainLegacyAnswer(isSuccess, answer);
  if (plain !== undefined) return Buffer.from(plain, "latin1");
  return Buffer.from(`${opening(isSuccess)}${escapeText(answer.toString("utf8"))}${CLOSING}`, "utf8");
}

/**
 * The same bytes piece by piece, for answers so large that the loop must turn in between. Each step takes a millisecond or
 * two at most; pieces that need no escape are parts of `answer` itself, not copies.
 */
export function* legacyAnswerPieces(isSuccess: boolean, answer: Buffer): Generator<Buffer, void, undefined> {
  yield Buffer.from(opening(isSuccess), "latin1");
  for (let start = 0; start < answer.length; ) {
    const end = sequenceStart(answer, Math.min(answer.length, start + PIECE_BYTES));
    const piece = answer.subarray(start, end);
    yield NOT_PLAIN.test(piece.toString("latin1")) ? Buffer.from(escapeText(piece.toString("utf8"))) : piece;
    start = end;
  }
  yield Buffer.from(CLOSING, "latin1");
}

function opening(isSuccess: boolean): string {
  return isSuccess ? OPENINGS.true : OPENINGS.false;
}

/**
 * Where to cut near `at` so that no UTF-8 sequence is split: at a byte that does not continue one. After three bytes that
 * continue, a fourth continues nothing, so that any place is right.
 */
function sequenceStart(bytes: Buffer, at: number): number {
  for (let cut = at; cut > at - 4; cut -= 1) {
    if (((bytes[cut] ?? 0) & 0xc0) !== 0x80) return cut;
  }
  return at;
}

/** JSON's own escapes come from the engine, which is fastest; the contract differs in two of them and adds five. */
function escapeText(text: string): string {
  let escaped = JSON.stringify(text).slice(1, -1);
  if (text.includes("\b") || text.includes("\f")) {
    escaped = escaped.replace(/\\[^u]/g, (pair) =>
      pair === "\\b" ? "\\u0008" : pair === "\\f" ? "\\u000c" : pair,
    );
  }
  if (!HTML.test(escaped)) return escaped;
  return escaped
    .replaceAll("<", "\\u003c")
    .replaceAll(">", "\\u003e")
    .replaceAll("&", "\\u0026")
    .replaceAll("\u2028", "\\u2028")
    .replaceAll("\u2029", "\\u2029");
}
