import { mkdir, mkdtemp, rename, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { FolderDigests } from "./folder-digest.ts";
import { findTaskFolder } from "./task-folders.ts";

let root = "";
const never = new AbortController().signal;

beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), "hearth-folders-"));
});
afterEach(async () => {
  await rm(root, { recursive: true, force: true });
});

async function addTask(directory: string, folder: string, task: unknown): Promise<string> {
  const path = join(root, directory, folder);
  await mkdir(path, { recursive: true });
  await writeFile(join(path, "task.json"), typeof task === "string" ? task : JSON.stringify(task));
  return path;
}

describe("finding a task folder", () => {
  test.each(["echo", "echo:latest", "hearth/echo", "hearth/echo:latest"])(
    "%s names the folder of `echo`",
    async (id) => {
      const folder = await addTask("tasks", "anything", { id: "echo", command: ["x"] });
      expect((await findTaskFolder([join(root, "tasks")], id)).folder).toBe(folder);
    },
  );

  test.each(["echo:v2", "acme/echo", "other"])("%s names no folder of `echo`", async (id) => {
    await addTask("tasks", "anything", { id: "hearth/echo:latest", command: ["x"] });
    await expect(findTaskFolder([join(root, "tasks")], id)).rejects.toMatchObject({ code: "TASK_NOT_FOUND" });
  });

  test("what has changed in a task.json is seen at the next look", async () => {
    const tasks = [join(root, "tasks")];
    for (const program of ["one", "two", "six"]) {
      await addTask("tasks", "anything", { id: "echo", command: [program] });
      expect((await findTaskFolder(tasks, "echo")).task.command).toEqual([program]);
    }
    await addTask("tasks", "anything", "{");
    await expect(findTaskFolder(tasks, "anything")).rejects.toMatchObject({ code: "IMAGE_UNUSABLE" });
  });

  test("a folder's name stands in where no id matches, and ids win over names", async () => {
    const tasks = [join(root, "tasks")];
    const named = await addTask("tasks", "one", { id: "acme/first:3", command: ["x"] });
    expect((await findTaskFolder(tasks, "one")).folder).toBe(named);
    const withId = await addTask("tasks", "two", { id: "one", command: ["x"] });
    expect((await findTaskFolder(tasks, "one")).folder).toBe(withId);
  });

  test("earlier directories win; absent ones hold nothing; a directory may itself be a task folder", async () => {
    const first = await addTask("a", "echo", { id: "echo", command: ["x"] });
    await addTask("b", "echo", { id: "echo", command: ["x"] });
    const directories = [join(root, "absent"), join(root, "a"), join(root, "b")];
    expect((await findTaskFolder(directories, "echo")).folder).toBe(first);
    expect((await findTaskFolder([first], "echo")).folder).toBe(first);
  });

  test("a faulty task.json is told when it is asked for, and hides no other", async () => {
    await addTask("tasks", "bad", '{"id":"bad"}');
    const good = await addTask("tasks", "good", { id: "good", command: ["x"] });
    const tasks = [join(root, "tasks")];
    expect((await findTaskFolder(tasks, "good")).folder).toBe(good);
    await expect(findTaskFolder(tasks, "bad")).rejects.toThrow(/bad\/task\.json: command: /);
  });
});

describe("a folder's digest", () => {
  test("changes exactly with the content", async () => {
    const folder = await addTask("tasks", "echo", { id: "echo", command: ["x"] });
    const digests = new FolderDigests();
    const digest = async (): Promise<string> => (await digests.digest(folder, never)).digest;
    const first = await digest();
    expect(await digest()).toBe(first);
    expect((await new FolderDigests().digest(folder, never)).digest).toBe(first);

    await mkdir(join(folder, "lib"));
    const withFolder = await digest();
    await writeFile(join(folder, "lib", "a.txt"), "one");
    const withFile = await digest();
    await writeFile(join(folder, "lib", "a.txt"), "two");
    const changed = await digest();
    await symlink("a.txt", join(folder, "lib", "b.txt"));
    const linked = await digest();
    expect(new Set([first, withFolder, withFile, changed, linked]).size).toBe(5);
    await rm(join(folder, "lib"), { recursive: true });
    expect(await digest()).toBe(first);
  });

  test("sees what comes and goes in a directory that it knows by now", async () => {
    const folder = await addTask("tasks", "known", { id: "known", command: ["x"] });
    await mkdir(join(folder, "deep/er"), { recursive: true });
    await writeFile(join(folder, "deep/er/one"), "1");
    const digests = new FolderDigests();
    const digest = async (): Promise<string> => (await digests.digest(folder, never)).digest;
    const seen = new Set<string>();
    for (let round = 0; round < 3; round += 1) {
      // From the second look on, stamps are old enough to be believed.
      await sleep(150);
      const before = await digest();
      expect(await digest()).toBe(before);
      expect(before).toBe((await new FolderDigests().digest(folder, never)).digest);
      await writeFile(join(folder, `deep/er/more${round}`), "");
      const after = await digest();
      expect(after).toBe((await new FolderDigests().digest(folder, never)).digest);
      await rename(join(folder, `deep/er/more${round}`), join(folder, `deep/er/else${round}`));
      for (const one of [before, after, await digest()]) seen.add(one);
    }
    // Each round but the first begins as the one before has ended.
    expect(seen.size).toBe(7);
    await rm(join(folder, "deep/er"), { recursive: true });
    expect(seen).not.toContain(await digest());
  });

  test("tells an entry that other users cannot read", async () => {
    const folder = await addTask("tasks", "echo", { id: "echo", command: ["x"] });
    await writeFile(join(folder, "secret"), "x", { mode: 0o600 });
    expect((await new FolderDigests().digest(folder, never)).unreadable).toBe("secret");
  });
});
