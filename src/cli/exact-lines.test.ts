import { expect, test } from "vitest";
import { exactLines } from "./exact-lines.ts";

async function lines(...chunks: readonly (readonly number[])[]): Promise<string[]> {
  const bytes = (async function* () {
    for (const chunk of chunks) yield await Promise.resolve(Buffer.from(chunk));
  })();
  const found: string[] = [];
  for await (const line of exactLines(bytes)) found.push(line);
  return found;
}

test("of a last line that is cut within a character the text before it is told, and that something came after", async () => {
  expect(await lines([0x61, 0x0a, 0x62, 0xc3])).toEqual(["a", "b\uFFFD"]);
  expect(await lines([0x62, 0xf0, 0x9f], [0x98])).toEqual(["b\uFFFD"]);
  expect(await lines([0x61, 0x0a, 0xe2, 0x82])).toEqual(["a", "\uFFFD"]);
  expect(await lines([0x62, 0xf0, 0x9f], [0x98, 0x80])).toEqual(["b\u{1F600}"]);
});

test("a line with bytes that are in no text is none, be it the last, and so is one that ends within a character", async () => {
  expect(await lines([0x61, 0xff, 0x61])).toEqual(["\uFFFD"]);
  expect(await lines([0x61, 0xc3, 0x28, 0xc3])).toEqual(["\uFFFD"]);
  expect(await lines([0x61, 0xc3, 0x0a, 0x62])).toEqual(["\uFFFD", "b"]);
});
