import { expect, test } from "vitest";
import { type Silent, Suspicions } from "./suspicions.ts";

const LEASE_MS = 30_000;
const silent = (idleMs: number, entryId = "1-0"): Silent => ({
  stream: "s",
  entryId,
  consumer: "other",
  idleMs,
});

test("an entry is taken over once it was silent for a lease, and seen silent half a lease before", () => {
  const suspicions = new Suspicions(LEASE_MS);
  expect(suspicions.judge([silent(16_000)], 0, true)).toEqual([]);
  expect(suspicions.judge([silent(29_000)], 13_000, true)).toEqual([]);
  expect(suspicions.judge([silent(31_000)], 15_000, true)).toEqual([silent(31_000)]);
});

test("F10: an entry that a jump of Redis's clock makes look old is not taken from a host that renews", () => {
  const suspicions = new Suspicions(LEASE_MS);
  const hourMs = 3_600_000;
  expect(suspicions.judge([silent(hourMs)], 0, true)).toEqual([]);
  // Renewed within a third of a lease: Redis finds nothing silent.
  expect(suspicions.judge([], 10_000, true)).toEqual([]);
  expect(suspicions.judge([silent(hourMs)], 20_000, true)).toEqual([]);
});

test("a look at a part of what is pending clears nobody", () => {
  const suspicions = new Suspicions(LEASE_MS);
  suspicions.judge([silent(20_000)], 0, true);
  suspicions.judge([], 5_000, false);
  expect(suspicions.judge([silent(35_000)], 15_000, false)).toHaveLength(1);
});

test("after Redis was away everybody gets his time again", () => {
  const suspicions = new Suspicions(LEASE_MS);
  suspicions.judge([silent(40_000)], 0, true);
  suspicions.clear();
  expect(suspicions.judge([silent(90_000)], 50_000, true)).toEqual([]);
  expect(suspicions.judge([silent(106_000)], 66_000, true)).toHaveLength(1);
});

test("one that a full host has seen silent for many leases is taken over as soon as there is room", () => {
  const suspicions = new Suspicions(LEASE_MS);
  for (let atMs = 0; atMs < LEASE_MS * 12; atMs += LEASE_MS / 3)
    suspicions.judge([silent(20_000 + atMs)], atMs, true);
  expect(suspicions.judge([silent(400_000)], LEASE_MS * 12, true)).toHaveLength(1);
});

test("what is suspected and never seen again is forgotten", () => {
  const suspicions = new Suspicions(LEASE_MS);
  for (let at = 0; at < 1000; at += 1) suspicions.judge([silent(20_000, `${at}-0`)], at, false);
  expect(suspicions.judge([silent(900_000, "0-0")], LEASE_MS * 20, false)).toEqual([]);
});
