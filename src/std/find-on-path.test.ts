import { chmod, mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { findOnPath } from "./find-on-path.ts";

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "hearth-path-"));
});
afterEach(async () => await rm(folder, { recursive: true, force: true }));

test("the first file of the name that may be run is found; folders and plain files are passed over", async () => {
  const [first, second, third] = [join(folder, "1"), join(folder, "2"), join(folder, "3")];
  for (const place of [first, second, third]) await mkdir(place);
  await mkdir(join(first, "tool"));
  await writeFile(join(second, "tool"), "");
  await chmod(join(second, "tool"), 0o644);
  await writeFile(join(third, "tool"), "");
  await chmod(join(third, "tool"), 0o755);
  const path = [first, second, third, "relative", ""].join(":");
  expect(await findOnPath("tool", path)).toBe(join(third, "tool"));
  expect(await findOnPath(join(third, "tool"), "")).toBe(join(third, "tool"));
  expect(await findOnPath(join(folder, "none"), path)).toBeUndefined();
  expect(await findOnPath("none", path)).toBeUndefined();
});
