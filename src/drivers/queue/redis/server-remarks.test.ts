import { expect, test } from "vitest";
import { evictionIn, serverRemarks } from "./server-remarks.ts";

const EVICTS = "aof_enabled:0\r\nmaxmemory_policy:allkeys-lru\r\n";

test("a server that keeps everything draws no remark, nor does one that tells nothing", () => {
  const keeps = "# Memory\r\nmaxmemory_policy:noeviction\r\naof_enabled:1\r\n";
  for (const info of [keeps, ""]) {
    expect(serverRemarks(info, { allowsEviction: true })).toEqual([]);
    expect(evictionIn(info)).toBeUndefined();
  }
});

test("eviction that is allowed and a missing append-only file are remarked", () => {
  const remarks = serverRemarks(EVICTS, { allowsEviction: true });
  expect(remarks).toHaveLength(2);
  expect(remarks[0]).toContain("allkeys-lru");
});

test("eviction that is not allowed is no mere remark", () => {
  expect(serverRemarks(EVICTS, { allowsEviction: false })).toEqual([expect.stringContaining("appendonly")]);
  expect(evictionIn(EVICTS)).toContain("maxmemory-policy is allkeys-lru");
});
