import { spawnSync } from "node:child_process";
import {
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  rename,
  rm,
  stat,
  symlink,
  utimes,
  writeFile,
} from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { ArtifactStore } from "../../src/core/index.ts";
import { openArtifactStore } from "../../src/drivers/artifacts/index.ts";
import { describeArtifactStore } from "../conformance/artifact-store/describe-artifact-store.ts";
import { AMPLE, forever, readAll, textSource } from "../conformance/artifact-store/harness.ts";
import { poll } from "../support/poll.ts";
import { treeHash } from "../support/tree-hash.ts";

const halves = async (root: string): Promise<readonly string[]> =>
  (await readdir(root, { recursive: true })).filter((name) => name.includes(".part"));

describeArtifactStore({
  name: "local disk",
  largeBytes: 2 ** 31,
  severalPiecesBytes: 20 * 2 ** 20,
  async open() {
    const root = await mkdtemp(join(tmpdir(), "hearth-store-"));
    return {
      store: await openArtifactStore(`file://${root}`, { setting: "artifact_store" }),
      leftovers: () => halves(root),
      end: async () => rm(root, { recursive: true }),
    };
  },
});

describe("a store in a folder that others write to as well", () => {
  let world = "";
  let root = "";
  let store: ArtifactStore;
  beforeEach(async () => {
    world = await mkdtemp(join(tmpdir(), "hearth-store-"));
    root = join(world, "root");
    await mkdir(root);
    await mkdir(join(world, "outside"));
    await writeFile(join(world, "outside/secret"), "canary");
    store = await openArtifactStore(root, { setting: "artifact_store" });
  });
  afterEach(async () => {
    await store[Symbol.asyncDispose]();
    await rm(world, { recursive: true });
  });

  test("no link inside it is followed, neither for a folder nor for a file", async () => {
    await symlink("../outside", join(root, "folder"));
    await symlink("../outside/secret", join(root, "file"));
    await mkdir(join(root, "d"));
    await symlink("../../outside", join(root, "d/deep"));
    const before = await treeHash(join(world, "outside"));
    const refused = { code: "ARTIFACT_KEY_INVALID" };
    for (const key of ["folder/secret", "file", "d/deep/secret"]) {
      await expect(store.open(key, undefined, forever)).rejects.toMatchObject(refused);
      await expect(store.info(key, forever)).rejects.toMatchObject(refused);
      await expect(store.move(key, "stolen", forever)).rejects.toMatchObject(refused);
    }
    for (const key of ["folder/new", "d/deep/new", "folder/a/b"])
      await expect(store.write(key, textSource("x"), AMPLE, forever)).rejects.toMatchObject(refused);
    await expect(store.remove("folder/secret", forever)).rejects.toMatchObject(refused);
    // A link at the very name is replaced by the file, and what it led to is left alone.
    await store.write("file", textSource("mine"), AMPLE, forever);
    expect(await readFile(join(root, "file"), "utf8")).toBe("mine");
    expect(await treeHash(join(world, "outside"))).toBe(before);
  });

  test("a folder that is swapped for a link while it is used never leads outside", async () => {
    const over = new AbortController();
    const before = await treeHash(join(world, "outside"));
    await mkdir(join(root, "d"));
    await symlink("../outside", join(root, "link"));
    let swaps = 0;
    const swapping = (async () => {
      while (!over.signal.aborted) {
        await rename(join(root, "d"), join(root, "aside"));
        // The store may have made the folder anew in between: then that one is put aside as well.
        const isSwapped = await rename(join(root, "link"), join(root, "d")).then(
          () => true,
          () => false,
        );
        if (isSwapped) {
          await rename(join(root, "d"), join(root, "link"));
          swaps += 1;
        }
        const isBack = await rename(join(root, "aside"), join(root, "d")).then(
          () => true,
          () => false,
        );
        if (!isBack) await rm(join(root, "aside"), { recursive: true });
      }
    })();
    for (let i = 0; i < 400; i += 1) {
      const key = i % 2 === 0 ? "d/secret" : "d/new";
      // Which of them meets the link is chance; none may pass it.
      await store.write(key, textSource("mine"), AMPLE, forever).catch(() => undefined);
      const read = await store.open("d/secret", undefined, forever).catch(() => undefined);
      if (read !== undefined) expect(await readAll(read.contents)).toBe("mine");
    }
    over.abort();
    await swapping;
    expect(swaps).toBeGreaterThan(20);
    expect(await treeHash(join(world, "outside"))).toBe(before);
  });

  test("pipes and folders are no objects, and a pipe holds nobody up", async () => {
    expect(spawnSync("mkfifo", [join(root, "pipe")]).status).toBe(0);
    await mkdir(join(root, "folder"));
    for (const key of ["pipe", "folder"])
      await expect(store.open(key, undefined, forever)).rejects.toMatchObject({
        code: "ARTIFACT_KEY_INVALID",
      });
    await expect(store.write("folder", textSource("x"), AMPLE, forever)).rejects.toMatchObject({
      code: "ARTIFACT_KEY_INVALID",
    });
    await store.write("file", textSource("x"), AMPLE, forever);
    await expect(store.write("file/below", textSource("x"), AMPLE, forever)).rejects.toMatchObject({
      code: "ARTIFACT_KEY_INVALID",
    });
    expect(await halves(root)).toEqual([]);
  });

  test("whoever reads while it is replaced reads the old one to its end", async () => {
    await store.write("x", textSource("old".repeat(1000)), AMPLE, forever);
    const reading = await store.open("x", undefined, forever);
    await store.write("x", textSource("new"), AMPLE, forever);
    expect(await readAll(reading.contents)).toBe("old".repeat(1000));
  });

  test("its root may move while it is open", async () => {
    await rename(root, join(world, "elsewhere"));
    await store.write("a/b", textSource("x"), AMPLE, forever);
    expect(await readFile(join(world, "elsewhere/a/b"), "utf8")).toBe("x");
  });

  test("H10: halves of dead writers are swept at the start, those of living ones are not", async () => {
    await mkdir(join(root, "a/b"), { recursive: true });
    const old = join(root, "a/b/.hearth-00000000-0000-4000-8000-000000000000.part");
    const young = join(root, "a/.hearth-00000000-0000-4000-8000-000000000001.part");
    const foreign = join(root, "a/.something.part");
    for (const path of [old, young, foreign]) await writeFile(path, "half");
    const longAgo = Date.now() / 1000 - 7200;
    await utimes(old, longAgo, longAgo);
    await utimes(foreign, longAgo, longAgo);
    await using _next = await openArtifactStore(root, { setting: "artifact_store" });
    await poll("the old half goes", async () => (await halves(root)).length === 2 || "it is there");
    expect((await halves(root)).filter((name) => name.startsWith("a/b/"))).toEqual([]);
  });

  test("a root that is not there is named with its setting", async () => {
    await expect(
      openArtifactStore(join(world, "none"), { setting: "stream.artifact_store" }),
    ).rejects.toMatchObject({
      code: "CONFIG_INVALID",
      facts: { setting: "stream.artifact_store" },
    });
    await expect(stat(join(world, "none"))).rejects.toMatchObject({ code: "ENOENT" });
  });
});
