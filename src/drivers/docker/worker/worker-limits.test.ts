import { expect, test } from "vitest";
import { ExecutorError } from "../../../core/index.ts";
import { OWN_ULIMITS, RAISED_ULIMITS, WorkerLimits } from "./worker-limits.ts";

const refused = new ExecutorError("SANDBOX_START_FAILED", {
  image: "functions:1",
  reason:
    'OCI runtime create failed: runc create failed: error setting rlimit type 7: operation not permitted: "unknown"',
});

test("limits are raised as the reference raises them, until an engine says that it may not", () => {
  const limits = new WorkerLimits(undefined);
  expect(limits.ulimits).toBe(RAISED_ULIMITS);
  expect(RAISED_ULIMITS).toContainEqual({ Name: "nofile", Soft: 1_000_000, Hard: 1_000_000 });
  expect(limits.blames(limits.ulimits, refused)).toBe(true);
  expect(limits.ulimits).toBe(OWN_ULIMITS);
  // One that was on its way with the raised limits is worth another try as well; one without them is not.
  expect(limits.blames(RAISED_ULIMITS, refused)).toBe(true);
  expect(limits.blames(OWN_ULIMITS, refused)).toBe(false);
});

test("other failures keep the limits raised", () => {
  const limits = new WorkerLimits(undefined);
  const other = new ExecutorError("IMAGE_UNUSABLE", { image: "functions:1", reason: "no such file" });
  expect(limits.blames(limits.ulimits, other)).toBe(false);
  expect(limits.ulimits).toBe(RAISED_ULIMITS);
});
