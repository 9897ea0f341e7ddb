import { expect, test } from "vitest";
import { serverRemarks } from "./server-remarks.ts";

test("a server that keeps everything draws no remark, nor does one that tells nothing", () => {
  expect(serverRemarks("# Memory\r\nmaxmemory_policy:noeviction\r\naof_enabled:1\r\n")).toEqual([]);
  expect(serverRemarks("")).toEqual([]);
});

test("eviction and a missing append-only file are remarked", () => {
  const remarks = serverRemarks("aof_enabled:0\r\nmaxmemory_policy:allkeys-lru\r\n");
  expect(remarks).toHaveLength(2);
  expect(remarks[0]).toContain("allkeys-lru");
});
