import { Readable } from "node:stream";
import { expect, test } from "vitest";
import { endedByItself, readPastEvents } from "./past-death.ts";

const event = (containerId: string, action: string, atMs: number) => ({ containerId, action, atMs });
const MINUTES = 60_000;

test.each([
  ["an engine that saw it start and end", [event("a", "start", 1), event("a", "die", 2)], true],
  [
    "an engine that forgot its start, and was there long before its end",
    [event("b", "die", 1), event("a", "die", 1 + 5 * MINUTES)],
    true,
  ],
  [
    "an engine that has just started, and ends what it finds",
    [event("b", "die", 1), event("a", "die", 2 * MINUTES)],
    false,
  ],
  ["an engine that started anew after the end", [event("b", "start", 1)], false],
  ["an engine that remembers nothing", [], false],
  ["an engine that started it again after its end", [event("a", "die", 1), event("a", "start", 2)], false],
])("%s", (_what, events, isItself) => {
  expect(endedByItself(events, "a")).toBe(isItself);
});

test("what is no event of a container is passed over", async () => {
  const lines = [
    '{"Type":"container","Action":"die","Actor":{"ID":"a"},"timeNano":1790000000123456789}',
    '{"Type":"network","Action":"connect"}',
    "no JSON",
  ];
  const events = await readPastEvents(Readable.from([Buffer.from(lines.join("\n"))]));
  expect(events).toMatchObject([{ containerId: "a", action: "die" }]);
  expect(events[0]?.atMs).toBeCloseTo(1_790_000_000_123.46, 0);
});
