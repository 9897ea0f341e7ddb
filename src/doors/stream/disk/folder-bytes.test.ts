import { link, mkdir, mkdtemp, open, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { makeDeep } from "../../../../test/support/deep-folder.ts";
import { removeFolder } from "../remove-folder.ts";
import { folderBytes } from "./folder-bytes.ts";

const MEBIBYTE = 1_048_576;
let folder: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "hearth-bytes-"));
});

afterEach(async () => {
  await removeFolder(folder);
});

const measured = async (): Promise<number> => await folderBytes(folder, new AbortController().signal);

test("files count wherever they are, by what they fill", async () => {
  await mkdir(join(folder, "a/b"), { recursive: true });
  await writeFile(join(folder, "a/b/deep"), Buffer.alloc(MEBIBYTE, 1));
  for (let at = 0; at < 70; at += 1) await writeFile(join(folder, `f${at}`), Buffer.alloc(16_384, 1));
  const bytes = await measured();
  expect(bytes).toBeGreaterThanOrEqual(MEBIBYTE + 70 * 16_384);
  expect(bytes).toBeLessThan(MEBIBYTE + 70 * 16_384 + 100 * 8192);
});

test("holes count nothing, a file with two names counts once, and links lead nowhere", async () => {
  const sparse = await open(join(folder, "sparse"), "w");
  await sparse.truncate(100 * MEBIBYTE);
  await sparse.close();
  await writeFile(join(folder, "one"), Buffer.alloc(MEBIBYTE, 1));
  await link(join(folder, "one"), join(folder, "two"));
  await symlink("/usr", join(folder, "usr"));
  const bytes = await measured();
  expect(bytes).toBeGreaterThanOrEqual(MEBIBYTE);
  expect(bytes).toBeLessThan(2 * MEBIBYTE);
});

test("a folder that is not there takes nothing", async () => {
  expect(await folderBytes(join(folder, "gone"), new AbortController().signal)).toBe(0);
});

test("where places for files are short, each file counts for one", async () => {
  for (let at = 0; at < 10; at += 1) await writeFile(join(folder, `f${at}`), "");
  expect(await folderBytes(folder, new AbortController().signal, 100_000)).toBe(1_000_000);
});

test("what lies too deep to be named counts without end", async () => {
  await makeDeep(folder, 10);
  expect(await measured()).toBe(Number.POSITIVE_INFINITY);
});
