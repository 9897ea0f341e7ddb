import fc from "fast-check";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { TimerWheel } from "./timer-wheel.ts";

beforeEach(() => {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "performance"] });
});
afterEach(() => {
  vi.useRealTimers();
});

test("a timer fires once, not before its time and at most two ticks after it", () => {
  const wheel = new TimerWheel(() => performance.now());
  const fired: number[] = [];
  const start = performance.now();
  wheel.timer(() => fired.push(performance.now() - start)).set(1234);
  vi.advanceTimersByTime(5000);
  expect(fired).toHaveLength(1);
  expect(fired[0]).toBeGreaterThanOrEqual(1234);
  expect(fired[0]).toBeLessThanOrEqual(1434);
  expect(wheel.size).toBe(0);
  expect(vi.getTimerCount()).toBe(0);
});

test("a timer that is cleared does not fire, and one that is set again fires at its last setting only", () => {
  const wheel = new TimerWheel(() => performance.now());
  const fired: string[] = [];
  const cleared = wheel.timer(() => fired.push("cleared"));
  const moved = wheel.timer(() => fired.push("moved"));
  cleared.set(300);
  moved.set(300);
  cleared.clear();
  cleared.clear();
  moved.set(120_000);
  vi.advanceTimersByTime(119_999);
  expect(fired).toEqual([]);
  vi.advanceTimersByTime(300);
  expect(fired).toEqual(["moved"]);
});

test("an earlier timer is not held up by a later one that was set first", () => {
  const wheel = new TimerWheel(() => performance.now());
  const fired: string[] = [];
  wheel.after(60_000, () => fired.push("late"));
  wheel.after(200, () => fired.push("early"));
  vi.advanceTimersByTime(400);
  expect(fired).toEqual(["early"]);
});

test("a timer may clear and set others, itself included, while it fires", () => {
  const wheel = new TimerWheel(() => performance.now());
  const fired: string[] = [];
  const victim = wheel.timer(() => fired.push("victim"));
  const again = wheel.timer(() => {
    fired.push("again");
    victim.clear();
    if (fired.length < 3) again.set(0);
  });
  again.set(100);
  victim.set(100);
  vi.advanceTimersByTime(2000);
  expect(fired).toEqual(["again", "again", "again"]);
});

test("whatever is set, moved and cleared, each timer fires at its last setting or not at all", () => {
  const step = fc.record({
    timer: fc.nat({ max: 9 }),
    delayMs: fc.option(fc.nat({ max: 130_000 })),
    passMs: fc.nat({ max: 20_000 }),
  });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const wheel = new TimerWheel(() => performance.now());
      const dueMs = new Map<number, number>();
      const wrong: string[] = [];
      const timers = Array.from({ length: 10 }, (_, index) =>
        wheel.timer(() => {
          const due = dueMs.get(index);
          const now = performance.now();
          if (due === undefined || now < due || now > due + 200) wrong.push(`${index} at ${now}, due ${due}`);
          dueMs.delete(index);
        }),
      );
      for (const { timer, delayMs, passMs } of steps) {
        if (delayMs === null) {
          timers[timer]?.clear();
          dueMs.delete(timer);
        } else {
          timers[timer]?.set(delayMs);
          dueMs.set(timer, performance.now() + delayMs);
        }
        vi.advanceTimersByTime(passMs);
      }
      vi.advanceTimersByTime(140_000);
      expect(wrong).toEqual([]);
      expect([dueMs.size, wheel.size]).toEqual([0, 0]);
    }),
    { numRuns: 60 },
  );
});
