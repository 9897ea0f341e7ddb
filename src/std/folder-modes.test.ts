import { mkdir, mkdtemp, rm, stat, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { makeUsable, openToAll } from "./folder-modes.ts";

let root: string;
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), "hearth-modes-"));
});
afterEach(async () => {
  await makeUsable(root);
  await rm(root, { recursive: true, force: true });
});

const modeOf = async (path: string): Promise<string> => ((await stat(path)).mode & 0o7777).toString(8);

test("everybody may use what was opened, programs stay programs, and links lead nowhere new", async () => {
  const [folder, outside] = [join(root, "work"), join(root, "outside")];
  await mkdir(join(folder, "deep"), { recursive: true, mode: 0o700 });
  await writeFile(join(folder, "deep/program"), "", { mode: 0o700 });
  await writeFile(join(folder, "data"), "", { mode: 0o600 });
  await writeFile(outside, "", { mode: 0o600 });
  await symlink(outside, join(folder, "link"));
  await openToAll(folder);
  expect(await modeOf(folder)).toBe("777");
  expect(await modeOf(join(folder, "deep"))).toBe("777");
  expect(await modeOf(join(folder, "deep/program"))).toBe("766");
  expect(await modeOf(join(folder, "data"))).toBe("666");
  expect(await modeOf(outside)).toBe("600");
});

test("a folder that is not there cannot be opened, and needs nothing to be usable", async () => {
  await expect(openToAll(join(root, "none"))).rejects.toMatchObject({ code: "ENOENT" });
  expect(await makeUsable(join(root, "none"))).toBe(true);
});

// What it changes for somebody who is not root is in test/integration/docker-job-hardening.test.ts.
