import { mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import type { ProcessWorld } from "../world.ts";
import { findPinned } from "./find-pinned.ts";
import { FolderDigests } from "./folder-digest.ts";
import { findTaskFolder } from "./task-folders.ts";

const never = new AbortController().signal;
let root: string;
let world: ProcessWorld;

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "hearth-pinned-"));
  const taskDirectories = [join(root, "first"), join(root, "second")];
  for (const folder of taskDirectories) mkdirSync(folder);
  // Of a whole world it looks at these three only.
  world = { taskDirectories, digests: new FolderDigests(), uids: undefined } as unknown as ProcessWorld;
});
afterEach(() => {
  rmSync(root, { recursive: true, force: true });
});

function addTask(folder: string, command: string): void {
  mkdirSync(join(root, folder));
  writeFileSync(join(root, folder, "task.json"), JSON.stringify({ id: "t", command: [command] }));
}

async function resolve(): Promise<{ readonly digest: string; readonly wasPulled: false }> {
  const { folder } = await findTaskFolder(world.taskDirectories, "t");
  return { digest: (await world.digests.digest(folder, never)).digest, wasPulled: false };
}

test("what was found once is found again with its task", async () => {
  addTask("first/a", "one");
  const image = await resolve();
  const once = await findPinned(world, "t", image, never);
  expect(once).toMatchObject({ folder: join(root, "first/a"), task: { command: ["one"] } });
  expect(await findPinned(world, "t", image, never)).toEqual(once);
});

test("a folder that changed since it was found is refused, and found with its new content", async () => {
  addTask("first/a", "one");
  const image = await resolve();
  await findPinned(world, "t", image, never);
  writeFileSync(join(root, "first/a/task.json"), JSON.stringify({ id: "t", command: ["two"] }));
  await expect(findPinned(world, "t", image, never)).rejects.toThrow("has changed");
  expect(await findPinned(world, "t", await resolve(), never)).toMatchObject({ task: { command: ["two"] } });
});

test("one that is elsewhere by now is looked for", async () => {
  addTask("first/a", "one");
  const image = await resolve();
  await findPinned(world, "t", image, never);
  renameSync(join(root, "first/a"), join(root, "second/b"));
  expect(await findPinned(world, "t", image, never)).toMatchObject({ folder: join(root, "second/b") });
});

test("one that is gone is told as one that is not there", async () => {
  addTask("first/a", "one");
  const image = await resolve();
  await findPinned(world, "t", image, never);
  rmSync(join(root, "first/a"), { recursive: true });
  await expect(findPinned(world, "t", image, never)).rejects.toMatchObject({ code: "TASK_NOT_FOUND" });
});
