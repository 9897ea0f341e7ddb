import { expect, test } from "vitest";
import { VirtualClock } from "../../test/support/virtual-clock.ts";
import { settledWithin } from "./settled-within.ts";

test("waits for the work, and leaves no timer behind", async () => {
  const clock = new VirtualClock();
  await settledWithin(Promise.resolve(), 1_000, clock);
  expect(clock.pendingTimers).toBe(0);
  await expect(settledWithin(Promise.reject(new Error("no")), 1_000, clock)).rejects.toThrow("no");
  expect(clock.pendingTimers).toBe(0);
});

test("waits no longer than its time for work that never ends", async () => {
  const clock = new VirtualClock();
  const seen = { isOver: false };
  const waits = settledWithin(new Promise(() => undefined), 1_000, clock).then(() => {
    seen.isOver = true;
  });
  await clock.advance(999);
  expect(seen.isOver).toBe(false);
  await clock.advance(1);
  await waits;
  expect(seen.isOver).toBe(true);
});
