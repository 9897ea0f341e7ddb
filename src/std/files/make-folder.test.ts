import { mkdtemp, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { makeFolder } from "./make-folder.ts";

let root: string;
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), "hearth-folders-"));
});
afterAll(async () => {
  await rm(root, { recursive: true });
});

test("it is made with those above it, by however many at once, and may be there", async () => {
  const path = join(root, "a/b/c");
  await Promise.all([
    makeFolder(path, 0o711),
    makeFolder(join(root, "a/b/d"), 0o711),
    makeFolder(path, 0o711),
  ]);
  await makeFolder(path);
  for (const one of ["a", "a/b", "a/b/c"]) expect((await stat(join(root, one))).mode & 0o777).toBe(0o711);
});

test("where none can be made it says so at once, also where the system calls the parent missing", async () => {
  await expect(makeFolder("/proc/x/y")).rejects.toMatchObject({ code: "ENOENT" });
  await writeFile(join(root, "file"), "");
  await expect(makeFolder(join(root, "file"))).rejects.toMatchObject({ code: "EEXIST" });
  await expect(makeFolder(join(root, "file/below"))).rejects.toMatchObject({ code: "ENOTDIR" });
});
