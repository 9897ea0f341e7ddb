import { statfs } from "node:fs/promises";
import { tmpdir } from "node:os";
import { expect, test } from "vitest";
import { openHostDisk } from "./open-host-disk.ts";

const options = { reserveBytes: (bytes: number) => Math.floor(bytes / 10), nowMs: () => 0 };

test("a host's disk is known from the first moment on, and what jobs book of it is given back once", async () => {
  const disk = await openHostDisk(tmpdir(), options);
  const { bsize, blocks } = await statfs(tmpdir());
  expect(disk).toMatchObject({ totalBytes: bsize * blocks });
  expect(disk?.capacityBytes).toBe(bsize * blocks - Math.floor((bsize * blocks) / 10));
  expect(disk?.availableBytes()).toBeGreaterThan(0);
  expect(disk?.availableBytes()).toBeLessThanOrEqual(bsize * blocks);
  const give = disk?.book(100);
  disk?.book(50);
  expect(disk?.reservedBytes()).toBe(150);
  give?.();
  give?.();
  expect(disk?.reservedBytes()).toBe(50);
});

test("jobs have nothing of a disk that is smaller than what is to be left free of it", async () => {
  const disk = await openHostDisk(tmpdir(), { ...options, reserveBytes: () => Number.MAX_SAFE_INTEGER });
  expect(disk?.capacityBytes).toBe(0);
});

test("a folder that does not tell has no disk", async () => {
  expect(await openHostDisk("/nonexistent/folder", options)).toBeUndefined();
  // A file system without blocks.
  expect(await openHostDisk("/proc", options)).toBeUndefined();
});
