import { HearthError } from "./error.ts";

/** Longest line that is taken; what the daemon sends is far below. */
const MAX_LINE_CHARS = 8 * 1024 * 1024;

/** Reads a body of one JSON value per line as it comes. Leaving the loop early closes the connection. */
export async function* readJsonLines<T>(response: Response): AsyncGenerator<T, void, undefined> {
  if (response.body === null) return;
  const reader: ReadableStreamDefaultReader<Uint8Array> = response.body.getReader();
  const decoder = new TextDecoder();
  let rest = "";
  try {
    for (;;) {
      const { done, value } = await reader.read();
      rest += done ? decoder.decode() : decoder.decode(value, { stream: true });
      const lines = rest.split("\n");
      rest = lines.pop() ?? "";
      for (const line of lines) if (line !== "") yield JSON.parse(line) as T;
      if (done) return;
      if (rest.length > MAX_LINE_CHARS) throw new HearthError("UNEXPECTED", "a line without an end");
    }
  } finally {
    await reader.cancel().catch(() => undefined); // it has ended or broken already; there is nobody to tell
  }
}
