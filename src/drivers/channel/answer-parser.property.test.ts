import fc from "fast-check";
import { expect, test } from "vitest";
import { ExecutorError } from "../../core/index.ts";
import { AnswerParser, type HeadMemory } from "./answer-parser.ts";

interface Story {
  readonly status: number | undefined;
  readonly headers: readonly (readonly [string, string])[];
  readonly body: string;
  readonly isDone: boolean;
  readonly isReusable: boolean;
  readonly error: string | undefined;
}

/**
 * Feeds the pieces from one buffer that is filled anew for each of them, as a connection does, and writes down what was said;
 * `isPausing`: the receiver pauses for a while at each event.
 */
function tell(pieces: readonly Buffer[], memory: HeadMemory, isPausing = false): Story {
  const story = { status: undefined as number | undefined, headers: [] as Story["headers"] };
  const body: Buffer[] = [];
  let hasPaused = false;
  const rest = (): void => {
    if (isPausing) {
      parser.pause();
      hasPaused = true;
    }
  };
  const parser = new AnswerParser(
    {
      onHead(head) {
        story.status = head.status;
        story.headers = head.headers;
        rest();
      },
      onData(chunk) {
        if (hasPaused) throw new Error("an event while paused");
        body.push(Buffer.from(chunk));
        rest();
      },
    },
    memory,
  );
  const wake = (): void => {
    while (hasPaused) {
      hasPaused = false;
      parser.resume();
    }
  };
  let error: string | undefined;
  try {
    const read = Buffer.allocUnsafeSlow(Math.max(1, ...pieces.map((piece) => piece.length)));
    for (const piece of pieces) {
      piece.copy(read);
      parser.push(read.subarray(0, piece.length));
      read.fill("#");
      wake();
    }
    parser.end();
  } catch (thrown) {
    error = ExecutorError.from(thrown).message;
  }
  return {
    ...story,
    body: Buffer.concat(body).toString("latin1"),
    isDone: parser.isDone,
    isReusable: parser.reuse !== undefined,
    error,
  };
}

function split(bytes: Buffer, cuts: readonly number[]): Buffer[] {
  const at = [...new Set(cuts.map((cut) => cut % (bytes.length + 1)))].sort((a, b) => a - b);
  return [0, ...at].map((start, index) => bytes.subarray(start, at[index] ?? bytes.length));
}

const bodies = fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes));
const chunkedBody = fc
  .tuple(
    fc.array(
      bodies.filter((b) => b.length > 0),
      { maxLength: 5 },
    ),
    fc.boolean(),
    fc.boolean(),
  )
  .map(([parts, hasExtension, hasTrailer]) =>
    Buffer.concat([
      ...parts.flatMap((part) => [
        Buffer.from(`${part.length.toString(16)}${hasExtension ? ";a=b" : ""}\r\n`),
        part,
        Buffer.from("\r\n"),
      ]),
      Buffer.from(hasTrailer ? "0\r\nX-Sum: 1\r\n\r\n" : "0\r\n\r\n"),
    ]),
  );
const extra = fc.constantFrom("", "X-A: 1\r\n", "Content-Type: text/plain\r\nX-B: \xe9\r\n");
const interim = fc.constantFrom(
  "",
  "HTTP/1.1 100 Continue\r\n\r\n",
  "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n",
);
const latin1 = (text: string): Buffer => Buffer.from(text, "latin1");
const answers = fc.oneof(
  fc
    .tuple(interim, extra, bodies)
    .map(([first, more, body]) =>
      Buffer.concat([
        latin1(`${first}HTTP/1.1 200 OK\r\n${more}Content-Length: ${body.length}\r\n\r\n`),
        body,
      ]),
    ),
  fc
    .tuple(interim, extra, chunkedBody)
    .map(([first, more, body]) =>
      Buffer.concat([latin1(`${first}HTTP/1.1 500 No\r\n${more}Transfer-Encoding: chunked\r\n\r\n`), body]),
    ),
  fc.tuple(extra, bodies).map(([more, body]) => Buffer.concat([latin1(`HTTP/1.0 200\n${more}\n`), body])),
  extra.map((more) => latin1(`HTTP/1.1 204 No Content\r\n${more}\r\n`)),
);
const cuts = fc.array(fc.nat({ max: 2000 }), { maxLength: 20 });

test("however a valid answer is split, the same is said of it", () => {
  const memory: HeadMemory = { last: undefined };
  fc.assert(
    fc.property(answers, cuts, fc.boolean(), (answer, at, isPausing) => {
      const whole = tell([answer], { last: undefined });
      expect(whole).toMatchObject({ isDone: true, error: undefined });
      // The memory of the last head stays from run to run: it must never change what is said.
      expect(tell(split(answer, at), memory, isPausing)).toEqual(whole);
      expect(tell([answer], memory, isPausing)).toEqual(whole);
    }),
    { numRuns: 1000 },
  );
});

test("however a damaged answer is split, it comes to the same end", () => {
  const damage = fc.array(fc.tuple(fc.nat({ max: 400 }), fc.nat({ max: 255 })), {
    minLength: 1,
    maxLength: 4,
  });
  fc.assert(
    fc.property(answers, damage, cuts, (answer, hits, at) => {
      const bytes = Buffer.from(answer);
      for (const [index, value] of hits) if (bytes.length > 0) bytes[index % bytes.length] = value;
      const whole = tell([bytes], { last: undefined });
      const parts = tell(split(bytes, at), { last: undefined });
      expect({ ...parts, body: "" }).toEqual({ ...whole, body: "" });
      if (whole.error === undefined) expect(parts.body).toBe(whole.body);
    }),
    { numRuns: 1000 },
  );
});

test("an answer one byte at a time is the answer", () => {
  fc.assert(
    fc.property(answers, (answer) => {
      const bytes = Array.from(answer, (_, index) => answer.subarray(index, index + 1));
      expect(tell(bytes, { last: undefined })).toEqual(tell([answer], { last: undefined }));
    }),
    { numRuns: 100 },
  );
});
