import { appendFileSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, expect, test } from "vitest";
import { ExecutorError } from "../../../core/index.ts";
import { SandboxRecords } from "./record.ts";

const folders: string[] = [];

afterEach(() => {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true });
});

function freshFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), "hearth-records-"));
  folders.push(folder);
  return folder;
}

const record = (sandboxId: string) => ({ sandboxId, mode: "job", leader: 42, startTicks: 7 }) as const;
const idsOf = (records: SandboxRecords): readonly string[] =>
  records
    .list()
    .map(({ sandboxId }) => sandboxId)
    .sort();

test("what is recorded is there in the next life, and what was removed is not", () => {
  const folder = freshFolder();
  const records = new SandboxRecords(folder, "me");
  for (const id of ["a", "b", "c"]) records.write(record(id));
  records.remove("b");
  records.remove("never");
  const next = new SandboxRecords(folder, "me");
  expect(idsOf(next)).toEqual(["a", "c"]);
  expect(next.list().find(({ sandboxId }) => sandboxId === "a")).toMatchObject(record("a"));
  next.remove("a");
  expect(idsOf(new SandboxRecords(folder, "me"))).toEqual(["c"]);
});

test("the file grows with those at once, not with those there ever were", () => {
  const folder = freshFolder();
  const records = new SandboxRecords(folder, "me");
  records.write(record("stays"));
  for (let number = 0; number < 100; number += 1) {
    records.write(record(`s${number}`));
    records.write(record(`t${number}`));
    records.remove(`s${number}`);
    records.remove(`t${number}`);
  }
  expect(statSync(join(folder, "me.records")).size).toBe(3 * 512);
  expect(idsOf(records)).toEqual(["stays"]);
});

test("a later life takes blank lines, and none that is in use", () => {
  const folder = freshFolder();
  const first = new SandboxRecords(folder, "me");
  for (const id of ["a", "b", "c"]) first.write(record(id));
  first.remove("b");
  const next = new SandboxRecords(folder, "me");
  next.write(record("d"));
  next.write(record("e"));
  expect(idsOf(next)).toEqual(["a", "c", "d", "e"]);
  expect(statSync(join(folder, "me.records")).size).toBe(4 * 512);
});

test("who removes late leaves the line alone that is another's by then", () => {
  const folder = freshFolder();
  const before = new SandboxRecords(folder, "me");
  before.write(record("old"));
  const after = new SandboxRecords(folder, "me");
  after.remove("old");
  after.write(record("new"));
  before.remove("old");
  expect(idsOf(after)).toEqual(["new"]);
});

test("one owner's records are not another's", () => {
  const folder = freshFolder();
  new SandboxRecords(folder, "me").write(record("mine"));
  const other = new SandboxRecords(folder, "you");
  expect(idsOf(other)).toEqual([]);
  other.write(record("yours"));
  expect(idsOf(new SandboxRecords(folder, "me"))).toEqual(["mine"]);
});

test("records of before a reboot do not count, and their lines are free", () => {
  const folder = freshFolder();
  const path = join(folder, "me.records");
  const records = new SandboxRecords(folder, "me");
  records.write(record("gone"));
  const text = readFileSync(path, "utf8");
  writeFileSync(path, text.replace(/("bootId":")[0-9a-f-]{36}/, `$1${"0".repeat(36)}`));
  const next = new SandboxRecords(folder, "me");
  expect(idsOf(next)).toEqual([]);
  next.write(record("new"));
  expect(statSync(path).size).toBe(512);
});

test("lines that are spoilt or cut short cost nobody else anything", () => {
  const folder = freshFolder();
  const path = join(folder, "me.records");
  writeFileSync(path, `${"x".repeat(511)}\n`);
  const records = new SandboxRecords(folder, "me");
  records.write(record("a"));
  records.write(record("b"));
  appendFileSync(path, '{"sandboxId":"half');
  const next = new SandboxRecords(folder, "me");
  expect(idsOf(next)).toEqual(["a", "b"]);
  next.write(record("c"));
  expect(idsOf(new SandboxRecords(folder, "me"))).toEqual(["a", "b", "c"]);
});

test("a file that somebody removed is made anew", () => {
  const folder = freshFolder();
  const records = new SandboxRecords(folder, "me");
  for (const id of ["a", "b"]) records.write(record(id));
  rmSync(join(folder, "me.records"));
  records.remove("a");
  records.write(record("c"));
  records.write(record("d"));
  expect(idsOf(new SandboxRecords(folder, "me"))).toEqual(["c", "d"]);
});

test("a record that cannot be written says so and takes no line", () => {
  const folder = freshFolder();
  const records = new SandboxRecords(folder, "me");
  const write = (): void => records.write(record("x".repeat(600)));
  expect(write).toThrow(ExecutorError);
  expect(write).toThrow("record of the sandbox");
  records.write(record("a"));
  expect(statSync(join(folder, "me.records")).size).toBe(512);
});
