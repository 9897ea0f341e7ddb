import fc from "fast-check";
import { expect, test } from "vitest";
import { QuietTime } from "./quiet-time.ts";

const TIMEOUT_MS = 30_000;

function world() {
  const socket = { bytesRead: 10, bytesWritten: 5_000_000, writableLength: 1_000_000 };
  const clock = { nowMs: 1000 };
  const quiet = new QuietTime(TIMEOUT_MS, () => clock.nowMs);
  /** The socket's timer is due, after so many parts. */
  const look = (parts = 1): boolean => {
    clock.nowMs += parts * quiet.partMs;
    return quiet.isOver(socket);
  };
  return { socket, clock, quiet, look };
}

test("quiet is over after its time and at most two parts more, in which the timer began anew without a word", () => {
  const { clock, quiet, look } = world();
  const startMs = clock.nowMs;
  // The kernel took the first bytes of the write: `node:net` lets the first part go by unseen.
  let isOver = look(2);
  for (let looks = 1; !isOver && looks < 100; looks += 1) isOver = look();
  expect(isOver).toBe(true);
  expect(clock.nowMs - startMs).toBeGreaterThanOrEqual(TIMEOUT_MS);
  expect(clock.nowMs - startMs).toBeLessThanOrEqual(TIMEOUT_MS + 2 * quiet.partMs);
  expect(quiet.partMs).toBeLessThan(TIMEOUT_MS / 7);
});

test.each(["bytesRead", "bytesWritten", "writableLength"] as const)(
  "whatever moves begins the time anew (%s)",
  (figure) => {
    const { socket, look } = world();
    for (let looks = 0; looks < 7; looks += 1) expect(look()).toBe(false);
    socket[figure] -= 1;
    for (let looks = 0; looks < 7; looks += 1) expect(look()).toBe(false);
    expect(look()).toBe(true);
  },
);

test("a look that was left out, or comes late, begins the time anew: something may have moved unseen", () => {
  const { look } = world();
  for (let looks = 0; looks < 7; looks += 1) look();
  expect(look(2)).toBe(false);
  for (let looks = 0; looks < 6; looks += 1) expect(look()).toBe(false);
  expect(look()).toBe(true);
});

test("sockets have a time of their own each", () => {
  const quiet = new QuietTime(TIMEOUT_MS, () => nowMs);
  let nowMs = 0;
  const sockets = [0, 1].map((bytesRead) => ({ bytesRead, bytesWritten: 0, writableLength: 1 }));
  const over = [0, 0];
  for (let looks = 1; looks <= 8; looks += 1) {
    nowMs += quiet.partMs;
    for (const [at, socket] of sockets.entries()) if (looks > at && quiet.isOver(socket)) over[at] = looks;
  }
  expect(over).toEqual([8, 0]);
});

test("whenever the looks come, none ends a quiet that has not lasted its time", () => {
  const parts = fc.array(fc.double({ min: 0.999, max: 4, noNaN: true }), { maxLength: 60 });
  const step = fc.tuple(
    fc.integer({ min: 100, max: 100_000 }),
    parts,
    fc.array(fc.boolean(), { maxLength: 60 }),
  );
  fc.assert(
    fc.property(step, ([timeoutMs, waits, moves]) => {
      let nowMs = 0;
      let movedAtMs = 0;
      const socket = { bytesRead: 0, bytesWritten: 0, writableLength: 1 };
      const quiet = new QuietTime(timeoutMs, () => nowMs);
      for (const [at, wait] of waits.entries()) {
        // A timer is at most a millisecond early.
        nowMs += Math.max(quiet.partMs - 1, wait * quiet.partMs);
        if (moves[at] === true) {
          socket.bytesWritten += 1;
          // What moves sets the timer anew: it was a part ago.
          movedAtMs = nowMs - (quiet.partMs - 1);
        }
        if (quiet.isOver(socket)) expect(nowMs - movedAtMs).toBeGreaterThanOrEqual(timeoutMs - 1);
      }
    }),
    { numRuns: 500 },
  );
});
