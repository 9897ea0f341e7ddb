import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
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
import type { ArtifactStore, ExecutorError } from "../../src/core/index.ts";
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

  test("a file is lent where it lies, and no link, no folder and nothing too large is", async () => {
    await store.write("t/in.zip", textSource("archive"), AMPLE, forever);
    await symlink("../../outside/secret", join(root, "t/link"));
    await symlink("../outside", join(root, "folder"));
    await using lent = await store.borrow!("t/in.zip", { maxBytes: 7 }, forever);
    expect([lent.bytes, await readFile(lent.path, "utf8")]).toEqual([7, "archive"]);
    expect(Buffer.from(lent.whole!).toString()).toBe("archive");
    await writeFile(join(root, "t/large.zip"), Buffer.alloc(100_000));
    await using large = await store.borrow!("t/large.zip", { maxBytes: 100_000 }, forever);
    expect([large.bytes, large.whole]).toEqual([100_000, undefined]);
    await rename(join(root, "t"), join(root, "moved"));
    await symlink("../outside", join(root, "t"));
    expect(await readFile(lent.path, "utf8")).toBe("archive");
    const code = async (key: string, maxBytes = 100): Promise<unknown> =>
      await store.borrow!(key, { maxBytes }, forever).catch(
        (error: unknown) => (error as ExecutorError).code,
      );
    expect(await code("moved/in.zip", 6)).toBe("ARTIFACT_TOO_LARGE");
    expect(await code("moved/link")).toBe("ARTIFACT_KEY_INVALID");
    expect(await code("folder/secret")).toBe("ARTIFACT_KEY_INVALID");
    expect(await code("moved")).toBe("ARTIFACT_KEY_INVALID");
    expect(await code("moved/none.zip")).toBe("ARTIFACT_NOT_FOUND");
  });

  test("what is staged keeps to its folder, is seen when it is published, and else leaves nothing", async () => {
    await symlink("../outside", join(root, "folder"));
    await expect(store.stage!("folder/out.zip", forever)).rejects.toMatchObject({
      code: "ARTIFACT_KEY_INVALID",
    });
    {
      await using staged = await store.stage!("t/out.zip", forever);
      await staged.write(Buffer.from("never "));
      await staged.write(Buffer.from("published"));
      expect(await staged.seal()).toMatchObject({ bytes: 15 });
      expect(await store.info("t/out.zip", forever)).toBeUndefined();
      expect(await halves(root)).toHaveLength(1);
    }
    expect(await readdir(join(root, "t"))).toEqual([]);
    await using staged = await store.stage!("t/out.zip", forever);
    await staged.write(Buffer.from("result"));
    await staged.seal();
    await staged.publish();
    await staged.publish();
    expect(await readFile(join(root, "t/out.zip"), "utf8")).toBe("result");
    expect(await halves(root)).toEqual([]);
    expect((await stat(join(root, "t/out.zip"))).mode & 0o777).toBe(0o644);
  });

  test.each([
    ["nothing", []],
    ["one piece", [1000]],
    ["a large piece", [300_000]],
    ["two pieces", [10, 20]],
    ["a large piece behind a small one, and a small one behind that", [10, 300_000, 20]],
  ])("what is staged as %s is there as it was written", async (_, sizes) => {
    const pieces = sizes.map((bytes, at) => Buffer.alloc(bytes, `${at}`));
    const whole = Buffer.concat(pieces);
    await using staged = await store.stage!("t/out.zip", forever);
    for (const piece of pieces) {
      await staged.write(piece);
      piece.fill("x"); // it is its owner's again
    }
    const sha256 = createHash("sha256").update(whole).digest("hex");
    expect(await staged.seal()).toEqual({ bytes: whole.length, sha256 });
    await staged.publish();
    expect((await readFile(join(root, "t/out.zip"))).equals(whole)).toBe(true);
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
    // Many looks are done at once: whoever swaps gets his turns in between, and as many rounds as he needs.
    for (let i = 0; i < 400 || (swaps <= 20 && i < 20_000); i += 1) {
      await new Promise(setImmediate);
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
