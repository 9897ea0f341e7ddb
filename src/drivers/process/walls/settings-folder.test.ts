import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { poll } from "../../../../test/support/poll.ts";
import { SettingsFolder } from "./settings-folder.ts";

let root = "";

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "hearth-settings-"));
  mkdirSync(join(root, "host"));
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

const host = (name: string, text: string): void => writeFileSync(join(root, "host", name), text);
const seen = (name: string): string => readFileSync(join(root, "ours", name), "utf8");

test("what programs need is there as the host has it, and nothing else", () => {
  host("hosts", "127.0.0.1 localhost\n");
  host("shadow", "secret");
  host("zone", "TZif");
  symlinkSync(join(root, "host/zone"), join(root, "host/localtime"));
  mkdirSync(join(root, "host/ssl"));
  const settings = new SettingsFolder(join(root, "ours"), join(root, "host"), 0);
  expect(settings.view()).toEqual({ folder: join(root, "ours"), folders: ["ssl"] });
  expect(readdirSync(join(root, "ours")).sort()).toEqual([
    "hosts",
    "localtime",
    "passwd",
    "resolv.conf",
    "ssl",
  ]);
  expect([seen("hosts"), seen("localtime"), seen("passwd")]).toEqual(["127.0.0.1 localhost\n", "TZif", ""]);
});

test("within a moment the host is not looked at again, and after it it is", async () => {
  host("hosts", "one");
  const settings = new SettingsFolder(join(root, "ours"), join(root, "host"), 600_000);
  settings.view();
  host("hosts", "two");
  settings.view();
  expect(seen("hosts")).toBe("one");
  const soon = new SettingsFolder(join(root, "ours"), join(root, "host"), 5);
  soon.view();
  host("hosts", "three");
  await poll("it is looked at again", () => {
    soon.view();
    return seen("hosts") === "three" || seen("hosts");
  });
});

test("it follows the host: changed, removed, made a folder and back; also in the next life", () => {
  host("hosts", "one");
  let settings = new SettingsFolder(join(root, "ours"), join(root, "host"), 0);
  settings.view();
  for (const text of ["two", "six"]) {
    host("hosts", text);
    settings.view();
    expect(seen("hosts")).toBe(text);
  }
  host("hosts", "while it was away");
  settings = new SettingsFolder(join(root, "ours"), join(root, "host"), 0);
  settings.view();
  expect(seen("hosts")).toBe("while it was away");
  rmSync(join(root, "host/hosts"));
  settings.view();
  expect(readdirSync(join(root, "ours"))).not.toContain("hosts");
  mkdirSync(join(root, "host/hosts"));
  expect(settings.view().folders).toEqual(["hosts"]);
  expect(statSync(join(root, "ours/hosts")).isDirectory()).toBe(true);
  rmSync(join(root, "host/hosts"), { recursive: true });
  host("hosts", "again");
  expect(settings.view().folders).toEqual([]);
  expect(seen("hosts")).toBe("again");
});
