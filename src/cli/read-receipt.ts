import type { Receipt } from "../core/index.ts";

/** A receipt has at most some 80 KB, however it is laid out. */
const MOST_CHARS = 1_000_000;

/**
 * Finds out whether a text is one receipt; anything else is to be checked as a chain.
 *
 * @returns `rest`: all of its lines, for whoever checks it as a chain.
 */
export async function readReceipt(
  lines: AsyncIterable<string>,
): Promise<{ readonly receipt: Receipt | undefined; readonly rest: AsyncIterable<string> }> {
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
  const receipt = isOver ? parse(read.join("\n")) : undefined;
  return { receipt, rest: again(read, source) };
}

async function* again(read: readonly string[], source: AsyncIterator<string>): AsyncGenerator<string> {
  yield* read;
  for (let next = await source.next(); next.done !== true; next = await source.next()) yield next.value;
}

function parse(text: string): Receipt | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return isReceipt(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

/** Has everything that is read of it while it is checked; whether it is true is another matter. */
function isReceipt(value: unknown): value is Receipt {
  if (!isObject(value)) return false;
  const { entry, canonical, prev, hash, following, checkpoint, signature, key } = value;
  return (
    [canonical, prev, hash, signature].every((field) => typeof field === "string") &&
    isObject(entry) &&
    typeof entry["seq"] === "number" &&
    Array.isArray(following) &&
    following.every((digest) => typeof digest === "string") &&
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
