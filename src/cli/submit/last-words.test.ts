import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { lastWords } from "./last-words.ts";

let folder = "";
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "hearth-words-"));
  await mkdir(join(folder, "artifacts"));
});
afterEach(async () => rm(folder, { recursive: true }));

const complain = async (text: string): Promise<void> =>
  await writeFile(join(folder, "artifacts/stderr.txt"), text);

test("a short complaint is told whole, and none is none", async () => {
  expect(await lastWords(folder)).toEqual([]);
  await complain("");
  expect(await lastWords(folder)).toEqual([]);
  await complain("Traceback:\n\n  at line 3\nValueError: no number\n");
  expect(await lastWords(folder)).toEqual(["Traceback:", "  at line 3", "ValueError: no number"]);
});

test("of a long one its last lines are told, and none of them is half a line", async () => {
  const lines = Array.from({ length: 3000 }, (_, at) => `line ${at}`);
  await complain(lines.join("\n"));
  expect(await lastWords(folder)).toEqual(lines.slice(-10));
  await complain(`${"x".repeat(9000)}\nlast`);
  expect(await lastWords(folder)).toEqual(["last"]);
});
