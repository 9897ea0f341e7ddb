import * as fc from "fast-check";
import { expect, test } from "vitest";
import { diskAnswer, diskReserve } from "./disk-room.ts";

const GIBIBYTE = 2 ** 30;
const bytes = fc.integer({ min: 0, max: 1000 });

test("however jobs come, and however much of its limit each fills, the reserve stays free of them", () => {
  const job = fc.record({
    wish: fc.option(fc.integer({ min: 1, max: 800 }), { nil: undefined }),
    part: fc.double({ min: 0, max: 1, noNaN: true }),
    leaves: fc.boolean(),
  });
  fc.assert(
    fc.property(
      bytes,
      bytes,
      fc.array(job),
      fc.integer({ min: 1, max: 8 }),
      (others, reserve, jobs, parts) => {
        const totalBytes = 1000;
        const limits = { reserveBytes: reserve, jobBytes: undefined, parts };
        const running: { readonly limit: number; readonly used: number }[] = [];
        for (const { wish, part, leaves } of jobs) {
          const usedBytes = running.reduce((sum, { used }) => sum + used, 0);
          const promisedBytes = running.reduce((sum, { limit }) => sum + limit, 0);
          const facts = { totalBytes, freeBytes: totalBytes - others - usedBytes, usedBytes, promisedBytes };
          const answer = diskAnswer(facts, limits, wish);
          if (answer.type === "grant")
            running.push({ limit: answer.bytes, used: Math.floor(answer.bytes * part) });
          else if (answer.type === "never") expect(answer.bytes).toBeGreaterThan(totalBytes - reserve);
          if (running.length > 0)
            expect(
              totalBytes - others - running.reduce((sum, { limit }) => sum + limit, 0),
            ).toBeGreaterThanOrEqual(reserve);
          if (leaves) running.shift();
        }
      },
    ),
  );
});

test("as many as run at once fit beside each other, whatever they have written", () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 50 }), fc.integer({ min: 100, max: 1e9 }), (parts, free) => {
      const limits = { reserveBytes: 0, jobBytes: undefined, parts };
      let promised = 0;
      for (let at = 0; at < parts; at += 1) {
        const facts = {
          totalBytes: free,
          freeBytes: free - promised,
          usedBytes: promised,
          promisedBytes: promised,
        };
        const answer = diskAnswer(facts, limits, undefined);
        expect(answer.type).toBe("grant");
        promised += answer.bytes;
      }
    }),
  );
});

test("what others write meanwhile makes the next part smaller, and keeps nobody waiting", () => {
  const limits = { reserveBytes: 0, jobBytes: undefined, parts: 2 };
  const facts = { totalBytes: 100, freeBytes: 90, usedBytes: 0, promisedBytes: 50 };
  expect(diskAnswer(facts, limits, undefined)).toEqual({ type: "grant", bytes: 40 });
  expect(diskAnswer({ ...facts, freeBytes: 60 }, limits, undefined)).toEqual({ type: "wait", bytes: 15 });
});

test("a twentieth is kept, and no more than a gibibyte", () => {
  const limits = { reserveBytes: undefined, jobBytes: undefined, parts: 1 };
  expect(diskReserve({ totalBytes: 1000 }, limits)).toBe(50);
  expect(diskReserve({ totalBytes: 1000 * GIBIBYTE }, limits)).toBe(GIBIBYTE);
});

test("a disk that others have filled is waited for; one that is too small is not", () => {
  const limits = { reserveBytes: 10, jobBytes: 50, parts: 1 };
  const full = { totalBytes: 100, freeBytes: 12, usedBytes: 0, promisedBytes: 0 };
  expect(diskAnswer(full, limits, undefined)).toEqual({ type: "wait", bytes: 50 });
  expect(diskAnswer(full, limits, 91)).toEqual({ type: "never", bytes: 91 });
  expect(diskAnswer(full, limits, 2)).toEqual({ type: "grant", bytes: 2 });
  expect(diskAnswer({ ...full, freeBytes: 5 }, { ...limits, jobBytes: undefined }, undefined).type).toBe(
    "wait",
  );
});
