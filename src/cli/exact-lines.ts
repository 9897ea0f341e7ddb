const NEWLINE = 0x0a;
/** Longer than any line of a chain: a block of attempts that have nothing in common is the longest. */
const MOST_BYTES = 64 * 1024 * 1024;
/** Stands for a line that is no text, or for the end of one that is cut within a character: nothing that is checked looks like it. */
const NO_TEXT = "\uFFFD";

/**
 * Cuts bytes into lines at `\n` and nowhere else, and takes nothing for something else: of two texts that differ in one byte, a line
 * differs. Only the line end of the last line may be missing: shells and mail drop it, and it says nothing.
 */
export async function* exactLines(chunks: AsyncIterable<unknown>): AsyncGenerator<string, void, undefined> {
  let rest = Buffer.alloc(0);
  for await (const chunk of chunks) {
    rest = Buffer.concat([rest, Buffer.isBuffer(chunk) ? chunk : Buffer.from(String(chunk))]);
    let from = 0;
    for (let at = rest.indexOf(NEWLINE); at >= 0; at = rest.indexOf(NEWLINE, from)) {
      yield decoded(rest.subarray(from, at));
      from = at + 1;
    }
    rest = rest.subarray(from);
    if (rest.length > MOST_BYTES) {
      yield NO_TEXT;
      return;
    }
  }
  if (rest.length > 0) yield decodedLast(rest);
}

const decoder = () => new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

function decoded(bytes: Uint8Array): string {
  try {
    return decoder().decode(bytes);
  } catch {
    return NO_TEXT;
  }
}

/** What is before a cut within a character is told, as it may show that the line is cut off; and never as if nothing came after it. */
function decodedLast(bytes: Uint8Array): string {
  const whole = decoder();
  let text = "";
  try {
    text = whole.decode(bytes, { stream: true });
    return text + whole.decode();
  } catch {
    return text + NO_TEXT;
  }
}
