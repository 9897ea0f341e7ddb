import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { scriptsOf } from "./scripts-folder.ts";

let root: string;
let task: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "hearth-scripts-"));
  task = join(root, "task");
  mkdirSync(join(task, "tools/scripts"), { recursive: true });
  mkdirSync(join(root, "task-2/scripts"), { recursive: true });
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

describe("the scripts of a task folder", () => {
  test("are its folder of that name", () => {
    expect(scriptsOf(task)).toBeUndefined();
    mkdirSync(join(task, "scripts"));
    expect(scriptsOf(task)).toBe(join(task, "scripts"));
  });

  test("may be a link within the task's folder, also where that is a link itself", () => {
    symlinkSync("tools/scripts", join(task, "scripts"));
    symlinkSync(task, join(root, "link"));
    const named = join(task, "tools/scripts");
    expect([scriptsOf(task), scriptsOf(join(root, "link"))]).toEqual([named, named]);
  });

  test.each([
    ["the root", "/"],
    ["the host's settings", "/etc"],
    ["the task's own folder", "."],
    ["a neighbour whose name begins the same", "../task-2/scripts"],
    ["a link out", "out/scripts"],
    ["nothing", "missing"],
    ["itself", "scripts"],
    ["a file", "file"],
  ])("S: are not seen where that is a link to %s", (_, to) => {
    writeFileSync(join(task, "file"), "");
    symlinkSync("../task-2", join(task, "out"));
    symlinkSync(to, join(task, "scripts"));
    expect(scriptsOf(task)).toBeUndefined();
  });

  test("are not a file of that name", () => {
    writeFileSync(join(task, "scripts"), "");
    expect(scriptsOf(task)).toBeUndefined();
  });
});
