import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import type { LoadOptions } from "./config/index.ts";
import { loadConfig } from "./config/index.ts";
import { tellMissingTaskDirs } from "./missing-task-dirs.ts";

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "hearth-dirs-"));
});
afterEach(() => rmSync(folder, { recursive: true }));

function told(env: LoadOptions["env"], options: Partial<LoadOptions> = {}): unknown[] {
  const { loaded } = loadConfig({ env: { HOME: folder, ...env }, cwd: folder, isRoot: false, ...options });
  if (loaded === undefined) throw new Error("it has faults");
  const lines: unknown[] = [];
  tellMissingTaskDirs(loaded, { log: (...line) => lines.push(line) });
  return lines;
}

test("a folder of tasks that is not there is told of, with the setting and where it came from", () => {
  mkdirSync(join(folder, "here"));
  writeFileSync(join(folder, "file"), "");
  const line = (name: string): unknown => {
    const warning = `HEARTH_TASKS_DIRS: tasks.dirs: there is no folder ${join(folder, name)}; its tasks can be called once it is there`;
    return ["warn", "config.loaded", { warning }];
  };
  expect(told({ HEARTH_TASKS_DIRS: "here,later,file,file/below" })).toEqual([
    line("later"),
    line("file"),
    line("file/below"),
  ]);
});

test("folders that nobody named need not be there, and nothing is said of them", () => {
  expect(told({})).toEqual([]);
});

test("a list of none, as the sample file has it, names no folder either", () => {
  writeFileSync(join(folder, "h.yaml"), "tasks: {dirs: []}\n");
  expect(told({}, { configFile: "h.yaml" })).toEqual([]);
});
