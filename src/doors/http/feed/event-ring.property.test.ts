import fc from "fast-check";
import { expect, test } from "vitest";
import { EventRing } from "./event-ring.ts";

const CAPACITY = 8;

test("a reader of any speed gets each event once and in order, and is told of what it lost", () => {
  fc.assert(
    fc.property(
      fc.array(
        fc.oneof(
          fc.record({ write: fc.integer({ min: 1, max: 20 }) }),
          fc.record({ read: fc.integer({ min: 1, max: 5 }) }),
        ),
        {
          maxLength: 60,
        },
      ),
      (steps) => {
        const ring = new EventRing("life", CAPACITY, () => 0);
        let next = 1;
        let seen = 0;
        for (const step of steps) {
          if ("write" in step) {
            for (let i = 0; i < step.write; i += 1) ring.append({ type: "executor", state: "running" });
            continue;
          }
          const { entries, isLost, next: after } = ring.read(next, step.read);
          const numbers = entries.map(({ seq }) => seq);
          const first = numbers[0];
          if (first !== undefined) {
            expect(isLost).toBe(first !== seen + 1);
            expect(numbers).toEqual(numbers.map((_, i) => first + i));
            expect(ring.next - first).toBeLessThanOrEqual(CAPACITY);
            seen = numbers.at(-1) ?? seen;
          }
          next = after;
        }
      },
    ),
  );
});

test("an id leads back to the place after it; one of another life is told from one that no event has had", () => {
  const ring = new EventRing("a.b", CAPACITY, () => 0);
  for (let i = 0; i < 3; i += 1) ring.append({ type: "executor", state: "paused" });
  const [first] = ring.read(1, 1).entries;
  expect(first?.event).toEqual({
    id: "a.b.1",
    at: "1970-01-01T00:00:00.000Z",
    type: "executor",
    state: "paused",
  });
  expect([ring.after("a.b.1"), ring.after("a.b.3"), ring.after("a.b.0")]).toEqual([2, 4, 1]);
  expect([
    ring.after("a.b.4"),
    ring.after("c.1"),
    ring.after(""),
    ring.after("1"),
    ring.after("a.b.x"),
  ]).toEqual(["unknown", "restarted", "unknown", "unknown", "unknown"]);
});

test("an event is encoded once for each kind of stream, whoever reads it", () => {
  const ring = new EventRing("life", CAPACITY, () => 0);
  let encoded = 0;
  const state = {
    toJSON: () => {
      encoded += 1;
      return "running";
    },
  };
  ring.append({ type: "executor", state: state as never });
  const [entry] = ring.read(1, 1).entries;
  const lines = [1, 2, 3].map(() => entry?.print("application/x-ndjson"));
  const events = [1, 2, 3].map(() => entry?.print("text/event-stream"));
  expect(encoded).toBe(1);
  expect(new Set(lines).size).toBe(1);
  expect(events[0]).toBe(`id: life.1\nevent: executor\ndata: ${lines[0]?.trim() ?? ""}\n\n`);
});
