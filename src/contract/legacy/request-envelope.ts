import { readExecutionRequest } from "./execution-request.ts";

const KEY = '"input":';
/** `"input":` is looked for in this many bytes only. */
export const ENVELOPE_LIMIT_BYTES = 2048;
const SPACE = 32;
const QUOTE = 34;
const MARKS = ["a", "b"] as const;

/** Where the text of the first `"input":"…"` begins, behind its quote, or -1. */
export function inputStart(body: Buffer): number {
  const head = body.toString("latin1", 0, Math.min(body.length, ENVELOPE_LIMIT_BYTES));
  const key = head.indexOf(KEY);
  if (key === -1) return -1;
  let at = key + KEY.length;
  while (head.charCodeAt(at) === SPACE) at += 1;
  return head.charCodeAt(at) === QUOTE ? at + 1 : -1;
}

/**
 * Whether a request's `input` is exactly the string literal between `prefix` (its opening quote included) and `rest` (its
 * closing quote included). It is seen with two different strings: JSON being what it is, any other string there changes
 * nothing else.
 */
export function isInputBetween(prefix: Buffer, rest: Buffer): boolean {
  return MARKS.every((mark) => {
    const probe = readText(Buffer.concat([prefix, Buffer.from(mark), rest]).toString("utf8"));
    return probe?.type === "request" && probe.input.toString() === mark;
  });
}

function readText(text: string): ReturnType<typeof readExecutionRequest> | undefined {
  try {
    return readExecutionRequest(JSON.parse(text));
  } catch {
    return undefined;
  }
}
