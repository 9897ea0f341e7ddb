import { expect, test } from "vitest";
import { poll } from "../../../test/support/poll.ts";
import { openDiskSpace } from "./disk-space.ts";

test("disk space is told from the last look, and looked at anew after a while", async () => {
  let nowMs = 0;
  const read = openDiskSpace("/", () => nowMs);
  await poll("it is known", () => read() !== undefined || "unknown");
  const first = read();
  expect(first?.totalBytes).toBeGreaterThan(first?.availableBytes ?? 0);
  expect(read()).toBe(first);
  nowMs = 5_000;
  read();
  await poll("it was looked at anew", () => read() !== first || "the same");
});

test("a folder that is not there has no disk space", async () => {
  let nowMs = 0;
  const read = openDiskSpace("/nonexistent/folder", () => nowMs);
  nowMs = 5_000;
  expect(read()).toBeUndefined();
  await new Promise((resolve) => setImmediate(resolve));
  expect(read()).toBeUndefined();
});
