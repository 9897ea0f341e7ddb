import { expect, test } from "vitest";
import { imagePolicy } from "./image-policy.ts";

test("without patterns everything is allowed", () => {
  expect(imagePolicy({ allow: [], deny: [] })("any/thing:1")).toBe(true);
});

test("an allow list lets only its images through, and deny is stronger", () => {
  const isAllowed = imagePolicy({ allow: ["lab/*", "exact:1"], deny: ["*:latest"] });
  expect(["lab/a:1", "exact:1", "exact:12", "lab/a:latest", "other/lab/a:1"].map(isAllowed)).toEqual([
    true,
    true,
    false,
    false,
    false,
  ]);
});

test("characters that mean something in a pattern language stand for themselves", () => {
  const isAllowed = imagePolicy({ allow: ["host:5000/a.b+c:1", "my-lab/*"], deny: [] });
  expect([isAllowed("host:5000/a.b+c:1"), isAllowed("host:5000/aXb+c:1")]).toEqual([true, false]);
  expect([isAllowed("my-lab/a-b:1"), isAllowed("mylab/a:1")]).toEqual([true, false]);
});
