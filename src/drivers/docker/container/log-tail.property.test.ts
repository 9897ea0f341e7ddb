import fc from "fast-check";
import { expect, test } from "vitest";
import { LogFrames } from "../engine/log-frames.ts";
import { ByteTail } from "./log-tail.ts";

/** Of UTF-8. */
const LONGEST_CHARACTER_BYTES = 4;

const pieces = fc.array(fc.uint8Array({ maxLength: 40 }).map((bytes) => Buffer.from(bytes)));

test("a tail is never longer than it may be, and says when there was more", () => {
  fc.assert(
    fc.property(pieces, fc.integer({ min: 1, max: 64 }), (all, maxBytes) => {
      const tail = new ByteTail(maxBytes);
      for (const piece of all) tail.push(piece);
      const { text, isTruncated } = tail.tail();
      expect(Buffer.byteLength(text)).toBeLessThanOrEqual(maxBytes);
      expect(isTruncated).toBe(Buffer.concat(all).length > maxBytes);
    }),
  );
});

test("a tail of whole text is the text's own end, with no character cut in two", () => {
  fc.assert(
    fc.property(
      fc.array(fc.string({ unit: "grapheme" })),
      fc.integer({ min: 4, max: 64 }),
      (texts, maxBytes) => {
        const tail = new ByteTail(maxBytes);
        for (const text of texts) tail.push(Buffer.from(text));
        const { text, isTruncated } = tail.tail();
        // U+FFFD in place of half a character would not be the text's own end; one that the text has itself stays.
        expect(texts.join("").endsWith(text)).toBe(true);
        if (isTruncated) expect(Buffer.byteLength(text)).toBeGreaterThan(maxBytes - LONGEST_CHARACTER_BYTES);
        else expect(text).toBe(texts.join(""));
      },
    ),
    {
      examples: [
        [["\ufffd".repeat(3)], 4],
        [["\ufffd", "\u{1f525}"], 6],
      ],
    },
  );
});

test("frames come out as they went in, however the stream is cut", () => {
  const frame = fc.tuple(
    fc.constantFrom("stdout" as const, "stderr" as const),
    fc.uint8Array({ maxLength: 30 }),
  );
  fc.assert(
    fc.property(fc.array(frame), fc.integer({ min: 1, max: 50 }), (frames, size) => {
      const wire = Buffer.concat(
        frames.flatMap(([stream, payload]) => {
          const header = Buffer.alloc(8);
          header[0] = stream === "stderr" ? 2 : 1;
          header.writeUInt32BE(payload.length, 4);
          return [header, Buffer.from(payload)];
        }),
      );
      const out: { stream: string; bytes: Buffer }[] = [];
      const reader = new LogFrames({
        onPayload(stream, payload, isStart) {
          if (isStart) out.push({ stream, bytes: Buffer.alloc(0) });
          const last = out.at(-1);
          if (last !== undefined) last.bytes = Buffer.concat([last.bytes, payload]);
        },
      });
      for (let at = 0; at < wire.length; at += size) reader.push(wire.subarray(at, at + size));
      const wanted = frames.filter(([, payload]) => payload.length > 0);
      expect(out.map(({ stream, bytes }) => [stream, [...bytes]])).toEqual(
        wanted.map(([stream, payload]) => [stream, [...payload]]),
      );
    }),
  );
});
