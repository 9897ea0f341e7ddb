import { readdirSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { root, STEPS } from "../../scripts/check/steps.mjs";

test("every test file belongs to one suite, in one run of it", () => {
  const ran = STEPS.flatMap(({ lanes = [] }) => lanes.flatMap(({ files }) => files));
  const all = ["src", "web", "test"].flatMap((folder) =>
    readdirSync(join(root, folder), { recursive: true, encoding: "utf8" })
      .filter((name) => name.endsWith(".test.ts"))
      .map((name) => join(root, folder, name)),
  );
  expect([...ran].sort()).toEqual(all.sort());
});
