import fc from "fast-check";
import { expect, test } from "vitest";
import { READY_MARK, ReadyMark } from "./ready-mark.ts";

/** Cuts a text into pieces at the given places. */
function cut(text: string, places: readonly number[]): Buffer[] {
  const ends = [...new Set([...places.map((place) => place % (text.length + 1)), text.length])].sort(
    (a, b) => a - b,
  );
  return ends.map((end, index) => Buffer.from(text.slice(ends[index - 1] ?? 0, end)));
}

test("M27: the mark is found however its output is cut", () => {
  fc.assert(
    fc.property(fc.string(), fc.string(), fc.array(fc.nat()), (before, after, places) => {
      const mark = new ReadyMark();
      for (const piece of cut(`${before}${READY_MARK}${after}`, places)) mark.see("stdout", piece);
      expect(mark.isFound).toBe(true);
    }),
  );
});

test("M27: half a mark on each stream is none", () => {
  const mark = new ReadyMark();
  mark.see("stdout", Buffer.from("meca-init"));
  mark.see("stderr", Buffer.from("-done"));
  expect(mark.isFound).toBe(false);
  expect(mark.see("stdout", Buffer.from("-done"))).toBe(true);
});
