import { expect, test } from "vitest";
import { nextRunId } from "./run-id.ts";

test("run ids are 26 lower-case characters, all different, in the order in which they were made", () => {
  const ids = Array.from({ length: 20_000 }, () => nextRunId());
  expect(ids.every((id) => /^[0-9a-z]{26}$/.test(id))).toBe(true);
  expect(new Set(ids).size).toBe(ids.length);
  expect([...ids].sort()).toEqual(ids);
});
