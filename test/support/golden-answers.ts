/** What a task answers, and the same between the quotes of `msg`, written out by hand from the contract's words. */
export const GOLDEN: Readonly<Record<string, readonly [answer: Buffer, msg: string]>> = {
  nothing: [Buffer.alloc(0), ""],
  plain: [Buffer.from("hello, world"), "hello, world"],
  markup: [Buffer.from("<a href='x'>&amp;</a>"), "\\u003ca href='x'\\u003e\\u0026amp;\\u003c/a\\u003e"],
  separators: [Buffer.from("a\u2028b\u2029c"), "a\\u2028b\\u2029c"],
  quotes: [Buffer.from("\"'`\\/"), "\\\"'`\\\\/"],
  lines: [Buffer.from("a\nb\rc\td\r\n"), "a\\nb\\rc\\td\\r\\n"],
  controls: [
    Buffer.from(Array.from({ length: 32 }, (_, code) => code)),
    "\\u0000\\u0001\\u0002\\u0003\\u0004\\u0005\\u0006\\u0007\\u0008\\t\\n\\u000b\\u000c\\r\\u000e\\u000f" +
      "\\u0010\\u0011\\u0012\\u0013\\u0014\\u0015\\u0016\\u0017\\u0018\\u0019\\u001a\\u001b\\u001c\\u001d\\u001e\\u001f",
  ],
  delete: [Buffer.from("\u007f\u0080\u009f"), "\u007f\u0080\u009f"],
  nonAscii: [Buffer.from("äß€ Ωж漢字 👩‍🚀 e\u0301"), "äß€ Ωж漢字 👩‍🚀 e\u0301"],
  mark: [Buffer.from("\ufeffa\ufeff"), "\ufeffa\ufeff"],
  replacement: [Buffer.from("\ufffd"), "\ufffd"],
  notUtf8: [Buffer.from([0x61, 0xff, 0xfe, 0x62, 0x80, 0x63]), "a\ufffd\ufffdb\ufffdc"],
  cutShort: [Buffer.from([0x61, 0xe2, 0x82]), "a\ufffd"],
  overlong: [Buffer.from([0xc0, 0xaf, 0x3c]), "\ufffd\ufffd\\u003c"],
  surrogate: [Buffer.from([0xed, 0xa0, 0x80]), "\ufffd\ufffd\ufffd"],
  json: [Buffer.from('{"a":[1,"<"]}\n'), '{\\"a\\":[1,\\"\\u003c\\"]}\\n'],
};

/** A text in which every one of the characters above comes at every alignment, ten megabytes of it. */
const LARGE_UNIT = 'é<>&\u2028"\\\n漢👩 plain text ';
const LARGE_UNIT_MSG = 'é\\u003c\\u003e\\u0026\\u2028\\"\\\\\\n漢👩 plain text ';
const LARGE_COUNT = Math.ceil((10 * 1024 * 1024) / Buffer.byteLength(LARGE_UNIT));

export const LARGE = Buffer.from(LARGE_UNIT.repeat(LARGE_COUNT));
export const LARGE_MSG = LARGE_UNIT_MSG.repeat(LARGE_COUNT);

/** The answer's body for a `msg` that is escaped already. */
export function wholeAnswer(success: boolean, msg: string): Buffer {
  return Buffer.from(`{\n    "success": ${success},\n    "msg": "${msg}"\n}`);
}
