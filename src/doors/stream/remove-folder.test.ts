import { lstat, mkdir, mkdtemp, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { makeDeep } from "../../../test/support/deep-folder.ts";
import { removeFolder } from "./remove-folder.ts";

let outer: string;
let folder: string;

beforeEach(async () => {
  outer = await mkdtemp(join(tmpdir(), "hearth-remove-"));
  folder = join(outer, "work");
  await mkdir(folder);
});

afterEach(async () => {
  await removeFolder(outer);
});

test("folders deeper than a path can name go, and so does what lies beside them", async () => {
  await writeFile(join(folder, "beside"), "");
  await makeDeep(folder, 10);
  await removeFolder(folder);
  await expect(lstat(folder)).rejects.toMatchObject({ code: "ENOENT" });
});

test("where links lead nothing is touched", async () => {
  await mkdir(join(outer, "other"));
  await writeFile(join(outer, "other/kept"), "");
  await symlink("../other", join(folder, "away"));
  await makeDeep(folder, 10);
  await removeFolder(folder);
  expect((await lstat(join(outer, "other/kept"))).isFile()).toBe(true);
});

test("a folder that is not there is no error", async () => {
  await expect(removeFolder(join(outer, "none"))).resolves.toBeUndefined();
});
