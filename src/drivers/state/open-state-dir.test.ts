import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { openStateDir } from "./open-state-dir.ts";

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "hearth-state-"));
});
afterEach(async () => await rm(folder, { recursive: true }));

test("the owner's name is made once and kept", async () => {
  const first = await openStateDir(join(folder, "deep", "state"), "");
  await first[Symbol.asyncDispose]();
  const second = await openStateDir(join(folder, "deep", "state"), "");
  expect(second.ownerId).toBe(first.ownerId);
  await second[Symbol.asyncDispose]();
});

test("a given owner's name wins over the kept one", async () => {
  await using state = await openStateDir(folder, "lab-3");
  expect(state.ownerId).toBe("lab-3");
});

test("A13: a second daemon on the same folder is refused until the first has ended", async () => {
  const first = await openStateDir(folder, "");
  await expect(openStateDir(folder, "")).rejects.toMatchObject({ code: "STATE_IN_USE" });
  await first[Symbol.asyncDispose]();
  await using second = await openStateDir(folder, "");
  expect(second.path).toBe(folder);
});

test.skipIf(process.platform !== "linux")(
  "A13: a second daemon that was given the first one's name is refused, whatever its folder",
  async () => {
    const name = `lab-${process.pid}`;
    const first = await openStateDir(join(folder, "a"), name);
    await expect(openStateDir(join(folder, "b"), name)).rejects.toMatchObject({
      code: "STATE_IN_USE",
      message: expect.stringContaining(name),
    });
    await first[Symbol.asyncDispose]();
    await using second = await openStateDir(join(folder, "b"), name);
    expect(second.ownerId).toBe(name);
  },
);

test("a folder that is a file, one that is too long and one that cannot be made are faults of the setting", async () => {
  await writeFile(join(folder, "file"), "");
  for (const path of [join(folder, "file"), join(folder, "x".repeat(120)), "/proc/nope/state"]) {
    await expect(openStateDir(path, "")).rejects.toMatchObject({
      code: "CONFIG_INVALID",
      facts: { field: "state_dir" },
    });
  }
});
