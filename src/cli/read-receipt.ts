import type { Receipt } from "../core/index.ts";

/** A receipt has a few KB, however it is laid out. */
const MOST_CHARS = 1_000_000;

/** `faults`: what keeps a text that is meant to be a receipt from being read as one. */
export interface ReadText {
  readonly receipt: Receipt | undefined;
  readonly faults: readonly string[];
  readonly rest: AsyncIterable<string>;
}

/**
 * Finds out whether a text is one receipt; anything else is to be checked as a chain.
 *
 * @returns `rest`: all of its lines, for whoever checks it as a chain.
 */
export async function readReceipt(lines: AsyncIterable<string>): Promise<ReadText> {
  const source = lines[Symbol.asyncIterator]();
  const read: string[] = [];
  let chars = 0;
  let isOver = false;
  // The head of a chain has no entry in it.
  while (chars <= MOST_CHARS && !/"format"\s*:\s*"hearth-receipts/.test(read[0] ?? "")) {
    const next = await source.next();
    if (next.done === true) {
      isOver = true;
      break;
    }
    read.push(next.value);
    chars += next.value.length + 1;
  }
  const found = isOver ? parse(read.join("\n")) : NO_RECEIPT;
  return { ...found, rest: again(read, source) };
}

async function* again(read: readonly string[], source: AsyncIterator<string>): AsyncGenerator<string> {
  yield* read;
  for (let next = await source.next(); next.done !== true; next = await source.next()) yield next.value;
}

const NO_RECEIPT = { receipt: undefined, faults: [] } as const;
/** No line of a chain has one of these at its top. */
const MARKS = ["canonical", "key"];

function parse(text: string): Pick<ReadText, "receipt" | "faults"> {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return NO_RECEIPT;
  }
  if (!isObject(value) || !MARKS.some((name) => name in (value as object))) return NO_RECEIPT;
  if (!isReceipt(value))
    return { receipt: undefined, faults: ["a part of it is missing, or of another kind"] };
  return { receipt: value, faults: isPlain(text, value) ? [] : ["something stands in it twice"] };
}

/** Whether a text says each thing once: of a name that stands there twice, people may see one and we another. */
function isPlain(text: string, value: unknown): boolean {
  const bare = text.replace(/"(?:[^"\\]|\\.)*"|\s+/g, (part) =>
    part.startsWith('"') ? JSON.stringify(JSON.parse(part)) : "",
  );
  return bare === JSON.stringify(value);
}

/** Has everything that is read of it while it is checked; whether it is true is another matter. */
function isReceipt(value: unknown): value is Receipt {
  if (!isObject(value)) return false;
  const { entry, canonical, checkpoint, atUs, signature, key } = value;
  return (
    [canonical, signature].every((field) => typeof field === "string") &&
    Number.isSafeInteger(atUs) &&
    isObject(entry) &&
    typeof entry["seq"] === "number" &&
    isObject(checkpoint) &&
    ["first", "last", "atUs"].every((name) => Number.isSafeInteger(checkpoint[name])) &&
    ["chain", "prev", "head"].every((name) => typeof checkpoint[name] === "string") &&
    isObject(key) &&
    typeof key["publicKey"] === "string"
  );
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
