import { expect, test } from "vitest";
import { isCutLine } from "./chain-lines.ts";

test.each([
  ['{"entry":{"seq":1,"text":"a}b"', true],
  ['{"entry":{"seq":1,"text":"a', true],
  ['{"entry":{"seq":1,"text":"a\\', true],
  ['{"entry":{"seq":[1', true],
  ['{"ent', true],
  ['{"entry":{"seq":1,"text":"a\\"{["}}', false],
  ['{"entry":{"seq":1}}}', false],
  ["hello", false],
  ["", false],
])("whether %s is cut off: %s", (line, isCut) => {
  expect(isCutLine(line)).toBe(isCut);
});

test("a long line of somebody else's is judged in one pass", () => {
  expect(isCutLine(`{"entry":"${'\\"'.repeat(2_000_000)}`)).toBe(true);
});
