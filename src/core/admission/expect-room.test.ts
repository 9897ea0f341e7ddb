import { expect, test } from "vitest";
import { EMPTY_RACK } from "../gpus/rack.ts";
import { asId } from "../ids.ts";
import type { ExpectedHolding } from "./expect-room.ts";
import { expectRoom } from "./expect-room.ts";

const OPTIONS = { order: "recency", nowMs: 0, keep: undefined } as const;
const FULL = { free: { cpuMillis: 0, memoryBytes: 0 }, rack: EMPTY_RACK };

function holding(name: string, memoryBytes: number, idleInMs: number | undefined): ExpectedHolding {
  return {
    sandboxId: asId<"sandbox">(name),
    held: { cpuMillis: 0, memoryBytes, gpuCount: 0 },
    isIdle: idleInMs === 0,
    canFreeze: true,
    lastUsedMs: 0,
    startCostMs: 1,
    idleInMs,
  };
}

function need(memoryBytes: number) {
  return { cpuMillis: 0, memoryBytes, gpuCount: 0, gpuMemoryBytes: 0 };
}

test("room that is there is there at once", () => {
  expect(expectRoom(need(5), FULL, [holding("a", 5, 0)], OPTIONS)).toBe(0);
  expect(expectRoom(need(0), FULL, [], OPTIONS)).toBe(0);
});

test("room comes with the last of those whose ends make it", () => {
  const holdings = [holding("a", 5, 300), holding("b", 5, 100), holding("c", 5, 200), holding("d", 5, 0)];
  expect(expectRoom(need(10), FULL, holdings, OPTIONS)).toBe(100);
  expect(expectRoom(need(11), FULL, holdings, OPTIONS)).toBe(200);
  expect(expectRoom(need(20), FULL, holdings, OPTIONS)).toBe(300);
});

test("nobody can tell when the room hangs on somebody of whom nobody can tell, or never comes", () => {
  const holdings = [holding("a", 5, 300), holding("b", 5, undefined)];
  expect(expectRoom(need(5), FULL, holdings, OPTIONS)).toBe(300);
  expect(expectRoom(need(6), FULL, holdings, OPTIONS)).toBeUndefined();
  expect(expectRoom(need(11), FULL, holdings, OPTIONS)).toBeUndefined();
});
