import fc from "fast-check";
import { expect, test } from "vitest";
import { encodeLegacyAnswer, legacyAnswerPieces, plainLegacyAnswer } from "./legacy-answer.ts";

const success = (msg: string): string => `{\n    "success": true,\n    "msg": "${msg}"\n}`;

test.each([
  ["nothing", "", ""],
  ["plain text", "hello, world! ~{}[]:;'`", "hello, world! ~{}[]:;'`"],
  ["quotes and backslashes", '{"a":"b\\c"}', '{\\"a\\":\\"b\\\\c\\"}'],
  ["what HTML would read", "<a href='x'>&amp;</a>", "\\u003ca href='x'\\u003e\\u0026amp;\\u003c/a\\u003e"],
  ["line ends and tabs", "a\nb\r\nc\td", "a\\nb\\r\\nc\\td"],
  ["backspace and form feed", "\b\f", "\\u0008\\u000c"],
  ["a backslash before them", "\\\b\\b\\\f\\f\\u", "\\\\\\u0008\\\\b\\\\\\u000c\\\\f\\\\u"],
  ["other control characters", "\0\x01\x0b\x1f", "\\u0000\\u0001\\u000b\\u001f"],
  ["delete, which JSON does not escape", "\x7f", "\x7f"],
  ["separators that scripts read", "a\u2028b\u2029c", "a\\u2028b\\u2029c"],
  ["other text", "äöü € 日本 😀 \u0080\u009f\ufeff", "äöü € 日本 😀 \u0080\u009f\ufeff"],
])("M28: %s", (_, text, msg) => {
  expect(encodeLegacyAnswer(true, Buffer.from(text)).toString()).toBe(success(msg));
});

test.each([
  ["a byte that begins nothing", [0x61, 0xff, 0x62], "a\ufffdb"],
  ["two of them", [0xfe, 0xff], "\ufffd\ufffd"],
  ["a stray continuation", [0x80], "\ufffd"],
  ["a sequence cut short, which is one", [0xf0, 0x9f, 0x98, 0x21], "\ufffd!"],
  ["an overlong slash", [0xc0, 0xaf], "\ufffd\ufffd"],
  ["half of a surrogate pair", [0xed, 0xa0, 0x80], "\ufffd\ufffd\ufffd"],
  ["a mixture", [0x3c, 0xff, 0x3e], "\\u003c\ufffd\\u003e"],
])("M28: what is not UTF-8 becomes U+FFFD: %s", (_, bytes, msg) => {
  expect(encodeLegacyAnswer(true, Buffer.from(bytes)).toString()).toBe(success(msg));
});

test("M28: a failure has the same shape", () => {
  expect(encodeLegacyAnswer(false, Buffer.from("no <room>")).toString()).toBe(
    '{\n    "success": false,\n    "msg": "no \\u003croom\\u003e"\n}',
  );
});

test("M28: piece by piece an answer has the same bytes, wherever its pieces end", () => {
  // Sequences of one to four bytes, whole and broken, shifted so that every place of them meets the end of a piece.
  const pattern = Buffer.concat([
    Buffer.from('a<"é€😀\u2028\n\b'),
    Buffer.from([0xf0, 0x9f, 0x98, 0x41, 0x80, 0x80, 0x80, 0x80, 0x80, 0xe2, 0x82, 0xff]),
  ]);
  for (let shift = 0; shift <= pattern.length; shift += 1) {
    const body = Buffer.concat([
      Buffer.alloc(65_536 - shift, "x"),
      pattern,
      Buffer.alloc(65_530, "y"),
      pattern,
    ]);
    const pieces = Buffer.concat([...legacyAnswerPieces(true, body)]);
    expect(pieces.equals(encodeLegacyAnswer(true, body))).toBe(true);
  }
});

test("M28: ten megabytes have the same bytes in one go and in pieces, and come back", () => {
  const text = 'The quick brown fox says "<hello> & goodbye" to äöü 😀.\n';
  const body = Buffer.from(text.repeat(Math.ceil((10 * 1024 * 1024) / Buffer.byteLength(text))));
  const whole = encodeLegacyAnswer(true, body);
  expect(Buffer.concat([...legacyAnswerPieces(true, body)]).equals(whole)).toBe(true);
  const parsed = JSON.parse(whole.toString()) as { msg: string };
  expect(Buffer.from(parsed.msg).equals(body)).toBe(true);
});

test("whatever a task answers, the body is JSON that holds it, in ASCII where the contract escapes", () => {
  const bytes = fc.oneof(
    fc.uint8Array({ maxLength: 400 }),
    fc.string({ unit: "binary", maxLength: 200 }).map((text) => new TextEncoder().encode(text)),
  );
  fc.assert(
    fc.property(bytes, fc.boolean(), (answer, isSuccess) => {
      const body = Buffer.from(answer);
      const encoded = encodeLegacyAnswer(isSuccess, body);
      const text = encoded.toString();
      expect(JSON.parse(text)).toEqual({ success: isSuccess, msg: body.toString("utf8") });
      expect(/[\x00-\x09\x0b-\x1f<>&\u2028\u2029]/.test(text)).toBe(false);
      expect(text.split("\n")).toHaveLength(4);
      expect(Buffer.concat([...legacyAnswerPieces(isSuccess, body)]).equals(encoded)).toBe(true);
      const plain = plainLegacyAnswer(isSuccess, body);
      if (plain !== undefined) expect(Buffer.from(plain, "latin1").equals(encoded)).toBe(true);
    }),
    { numRuns: 500 },
  );
});
