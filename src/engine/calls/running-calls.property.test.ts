import fc from "fast-check";
import { expect, test } from "vitest";
import type { CanRun } from "./running-calls.ts";
import { NOT_RUNNING, RunningCalls } from "./running-calls.ts";

interface Call extends CanRun {
  readonly name: number;
}

const call = (_: unknown, name: number): Call => ({ name, runningAt: NOT_RUNNING });

const steps = fc.array(fc.record({ type: fc.constantFrom("add", "delete", "look"), which: fc.nat(11) }), {
  maxLength: 200,
});

test("those that run are what a set of them would hold, however they come and go", () => {
  fc.assert(
    fc.property(steps, (all) => {
      const calls = Array.from({ length: 12 }, call);
      const running = new RunningCalls<Call>();
      const model = new Set<Call>();
      for (const { type, which } of all) {
        const one = calls[which] as Call;
        if (type === "delete") {
          running.delete(one);
          model.delete(one);
        } else if (!model.has(one)) {
          running.add(one);
          model.add(one);
        }
        expect(running.size).toBe(model.size);
        expect(new Set(running)).toEqual(model);
      }
    }),
  );
});

test("who goes through them finds all that were there when it began, though each leaves as it is found", () => {
  const running = new RunningCalls<Call>();
  const calls = Array.from({ length: 5 }, call);
  for (const one of calls) running.add(one);
  const found: Call[] = [];
  for (const one of running) {
    found.push(one);
    running.delete(one);
  }
  expect(found).toEqual(calls);
  expect(running.size).toBe(0);
});
