import { chmod, chown, mkdir, mkdtemp, readdir, rm, stat, symlink, writeFile } from "node:fs/promises";
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

const NOBODY = 65_534;

/** Root is kept from nothing: as root the work is done as somebody else. */
async function asSomebody(work: () => Promise<void>): Promise<void> {
  if (process.getuid?.() !== 0) {
    await work();
    return;
  }
  await chown(root, NOBODY, NOBODY);
  process.seteuid?.(NOBODY);
  try {
    await work();
  } finally {
    process.seteuid?.(0);
  }
}

test("what is one's own and locked is unlocked", async () => {
  await asSomebody(async () => {
    await mkdir(join(root, "locked"));
    await writeFile(join(root, "locked/file"), "");
    await chmod(join(root, "locked/file"), 0);
    await chmod(join(root, "locked"), 0o500);
    await expect(rm(join(root, "locked/file"))).rejects.toMatchObject({ code: "EACCES" });
    expect(await makeUsable(root)).toBe(true);
    await rm(join(root, "locked"), { recursive: true });
    expect(await readdir(root)).toEqual([]);
  });
});
