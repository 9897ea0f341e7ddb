import * as fc from "fast-check";
import { expect, test } from "vitest";
import type { LifeEvent, LifeState } from "./life.ts";
import { advance, idleSince, isExpired, isIdle, slotsUsed } from "./life.ts";

const event: fc.Arbitrary<LifeEvent> = fc.oneof(
  fc.constantFrom<LifeEvent>(
    { type: "take" },
    { type: "freeze" },
    { type: "frozen" },
    { type: "thaw" },
    { type: "removed" },
    { type: "stop", cause: "asked" },
    { type: "retire", cause: "outdated" },
  ),
  fc
    .integer({ min: 0, max: 1_000 })
    .chain((nowMs) =>
      fc.constantFrom<LifeEvent>(
        { type: "ready", nowMs },
        { type: "give", nowMs },
        { type: "thawed", nowMs },
      ),
    ),
);

test("over any events: calls run only in hot and retiring, gone is for ever, and the first cause stays", () => {
  fc.assert(
    fc.property(fc.array(event, { maxLength: 60 }), (events) => {
      let state: LifeState = { type: "starting" };
      for (const one of events) {
        const before: LifeState = state;
        state = advance(state, one);
        expect(slotsUsed(state)).toBeGreaterThanOrEqual(0);
        // A call ends by itself, or with a stop that says so.
        if (one.type !== "give" && one.type !== "stop") {
          expect(slotsUsed(state)).toBeGreaterThanOrEqual(slotsUsed(before));
        }
        if (slotsUsed(state) > 0) expect(["hot", "retiring"]).toContain(state.type);
        if (before.type === "gone") expect(state).toBe(before);
        if (before.type === "stopping") expect(["stopping", "gone"]).toContain(state.type);
        if ((before.type === "stopping" || before.type === "retiring") && "cause" in state) {
          expect(state.cause).toBe(before.cause);
        }
        if (slotsUsed(state) > 0) expect(isIdle(state) || isExpired(state, 1e9, 0)).toBe(false);
      }
    }),
    { numRuns: 3_000 },
  );
});

test("one that retires and is told so again stays for the calls that run in it, and for its first cause", () => {
  let state: LifeState = { type: "starting" };
  const events: LifeEvent[] = [
    { type: "ready", nowMs: 0 },
    { type: "take" },
    { type: "take" },
    { type: "retire", cause: "paused" },
    { type: "give", nowMs: 50 },
    { type: "retire", cause: "drained" },
  ];
  for (const one of events) state = advance(state, one);
  expect(state).toEqual({ type: "retiring", slotsUsed: 1, cause: "paused" });
});

test("M11: the idle clock starts at the end of the last call", () => {
  let state: LifeState = { type: "starting" };
  const events: LifeEvent[] = [
    { type: "ready", nowMs: 0 },
    { type: "take" },
    { type: "take" },
    { type: "give", nowMs: 50 },
  ];
  for (const one of events) state = advance(state, one);
  expect(idleSince(state)).toBeUndefined();
  state = advance(state, { type: "give", nowMs: 90 });
  expect([isExpired(state, 149, 60), isExpired(state, 150, 60)]).toEqual([false, true]);
});
