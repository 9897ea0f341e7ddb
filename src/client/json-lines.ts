import { HearthError } from "./error.ts";

/** Longest line that is taken; what the daemon sends is far below. */
const MAX_LINE_CHARS = 8 * 1024 * 1024;

/** Reads a body of one JSON value per line as it comes. Leaving the loop early closes the connection. */
export async function* readJsonLines<T>(response: Response): AsyncGenerator<T, void, undefined> {
  for await (const line of readLines(response)) if (line !== "") yield JSON.parse(line) as T;
}

/** Reads a body of server-sent events, each with one JSON value; their ids and comments are left out. */
export async function* readJsonEvents<T>(response: Response): AsyncGenerator<T, void, undefined> {
  let data = "";
  for await (const line of readLines(response)) {
    if (line.startsWith("data:")) data += `${line.slice(5)}\n`;
    else if (line.trimEnd() === "" && data !== "") {
      yield JSON.parse(data) as T;
      data = "";
    }
  }
}

/** Reads a body line by line as it comes, without the line ends; a last line that has none is a line too. */
export async function* readLines(response: Response): AsyncGenerator<string, void, undefined> {
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
      yield* lines;
      if (done) {
        if (rest !== "") yield rest;
        return;
      }
      if (rest.length > MAX_LINE_CHARS) throw new HearthError("UNEXPECTED", "a line without an end");
    }
  } finally {
    await reader.cancel().catch(() => undefined); // it has ended or broken already; there is nobody to tell
  }
}
