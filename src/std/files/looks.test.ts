import { constants } from "node:fs";
import { mkdir, mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { looksAtOnce, looksBelow, looksLater } from "./looks.ts";

let folder = "";

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "hearth-looks-"));
  await writeFile(join(folder, "file"), "contents");
  await mkdir(join(folder, "sub"));
  await symlink("file", join(folder, "link"));
});
afterEach(async () => rm(folder, { recursive: true }));

describe.each([
  ["at once", looksAtOnce],
  ["by a thread", looksLater],
])("looks that are done %s", (_, looks) => {
  test("tell what a name and what an open file is, and follow no link by its name", async () => {
    expect((await looks.statsOf(join(folder, "link")))?.isSymbolicLink()).toBe(true);
    expect((await looks.statsOf(join(folder, "sub")))?.isDirectory()).toBe(true);
    expect(await looks.statsOf(join(folder, "none"))).toBeUndefined();
    const fd = await looks.open(join(folder, "file"), constants.O_RDONLY);
    expect((await looks.stats(fd)).size).toBe(8);
    await looks.close(fd);
    await expect((async () => looks.stats(fd))()).rejects.toMatchObject({ code: "EBADF" });
  });

  test("read from a place, or where the last read ended, into what is left of a buffer", async () => {
    const fd = await looks.open(join(folder, "file"), constants.O_RDONLY);
    const into = Buffer.alloc(6, ".");
    expect(await looks.read(fd, into, 2, 3)).toBe(4);
    expect(into.toString()).toBe("..tent");
    expect(await looks.read(fd, into, 0, null)).toBe(6);
    expect(await looks.read(fd, into, 0, null)).toBe(2);
    expect(await looks.read(fd, into, 0, null)).toBe(0);
    await looks.close(fd);
  });

  test("list a folder of so many at most", async () => {
    const names = (await looks.entries(folder, 3))?.map((entry) => [entry.name, entry.isDirectory()]);
    expect(names?.sort()).toEqual([
      ["file", false],
      ["link", false],
      ["sub", true],
    ]);
    expect(await looks.entries(folder, 2)).toBeUndefined();
    expect(await looks.entries(join(folder, "sub"), 0)).toEqual([]);
    const many = Array.from({ length: 600 }, (_one, at) => `${"n".repeat(100)}${at}`);
    await Promise.all(many.map(async (name) => await writeFile(join(folder, "sub", name), "")));
    expect(await looks.entries(join(folder, "sub"), 599)).toBeUndefined();
    expect(await looks.entries(join(folder, "sub"), 600)).toHaveLength(600);
  });

  test("say what is wrong as the file system does", async () => {
    const none = join(folder, "none");
    await expect((async () => looks.open(none, constants.O_RDONLY))()).rejects.toMatchObject({
      code: "ENOENT",
    });
    await expect((async () => looks.entries(none, 1))()).rejects.toMatchObject({ code: "ENOENT" });
    await expect((async () => looks.statsOf(join(folder, "file/x")))()).rejects.toMatchObject({
      code: "ENOTDIR",
    });
  });
});

test("only where the file system is known as one of this host is a look done at once", async () => {
  expect(await looksBelow("/proc")).toBe(looksLater);
  expect(await looksBelow(join(folder, "none"))).toBe(looksLater);
});
