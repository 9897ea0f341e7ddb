import fc from "fast-check";
import { expect, test } from "vitest";
import { type CanWait, WaitingLine } from "./waiting-line.ts";

interface One extends CanWait<One> {
  readonly name: number;
}

const one = (_: unknown, name: number): One => ({
  name,
  isWaiting: false,
  before: undefined,
  behind: undefined,
});

const steps = fc.array(fc.record({ type: fc.constantFrom("add", "delete", "take"), which: fc.nat(7) }), {
  maxLength: 200,
});

test("a line is what a set of those who wait would be: first come, first served, and any may leave", () => {
  fc.assert(
    fc.property(steps, (all) => {
      const ones = Array.from({ length: 8 }, one);
      const line = new WaitingLine<One>();
      const model = new Set<One>();
      for (const { type, which } of all) {
        const chosen = ones[which] as One;
        if (type === "take") {
          const [first] = model;
          expect(line.take()).toBe(first);
          if (first !== undefined) model.delete(first);
        } else if (type === "delete") {
          line.delete(chosen);
          model.delete(chosen);
        } else if (!model.has(chosen)) {
          line.add(chosen);
          model.add(chosen);
        }
        expect([line.size, line.first]).toEqual([model.size, [...model][0]]);
        for (const each of ones) expect(each.isWaiting).toBe(model.has(each));
        // Whoever is not in it holds on to nobody.
        const outside = ones.filter((each) => !model.has(each));
        expect(outside.every(({ before, behind }) => before === undefined && behind === undefined)).toBe(
          true,
        );
      }
      expect(Array.from({ length: model.size }, () => line.take())).toEqual([...model]);
    }),
  );
});
