import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { randomUUID } from "node:crypto";
import { mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { build } from "esbuild";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { ArchiveLimits } from "../../src/core/index.ts";
import { openArtifactStore } from "../../src/drivers/artifacts/index.ts";
import { zipArchiver } from "../../src/std/archive/index.ts";
import { AMPLE, forever, longSource, readAll, textSource } from "../conformance/artifact-store/harness.ts";
import { craftZip } from "../support/craft-zip.ts";
import { poll } from "../support/poll.ts";

const MIB = 2 ** 20;
const LIMITS: ArchiveLimits = {
  entries: 10_000,
  totalBytes: 2 ** 31,
  ratio: 10_000,
  depth: 32,
  nameBytes: 255,
  deadlineMs: 60_000,
};

let world = "";
beforeEach(async () => {
  world = await mkdtemp(join(tmpdir(), "hearth-disk-"));
});
afterEach(async () => rm(world, { recursive: true, force: true }));

/** Mounts a small file system; `false` where this process may not. */
function mountSmall(at: string, options: string): boolean {
  return spawnSync("mount", ["-t", "tmpfs", "-o", options, "tmpfs", at]).status === 0;
}

describe("H8: a full disk costs the one who fills it, and nothing is left behind", () => {
  const onSmallDisk = async (options: string, work: (disk: string) => Promise<void>): Promise<boolean> => {
    const disk = join(world, "disk");
    await mkdir(disk);
    if (!mountSmall(disk, options)) return false;
    try {
      await work(disk);
    } finally {
      spawnSync("umount", ["-l", disk]);
    }
    return true;
  };
  const full = { code: "DISK_FULL" };

  test("a store of 8 MiB", async ({ skip }) => {
    const ran = await onSmallDisk("size=8m", async (disk) => {
      await using store = await openArtifactStore(disk, { setting: "artifact_store" });
      await store.write("a/kept", textSource("kept"), AMPLE, forever);
      await expect(store.write("a/large", longSource(20 * MIB), AMPLE, forever)).rejects.toMatchObject(full);
      await expect(store.write("a/kept", longSource(20 * MIB), AMPLE, forever)).rejects.toMatchObject(full);
      expect(await readdir(join(disk, "a"))).toEqual(["kept"]);
      expect(await readAll((await store.open("a/kept", undefined, forever)).contents)).toBe("kept");
      // There is room again at once.
      await store.write("a/fits", longSource(4 * MIB), AMPLE, forever);
      await store.check(forever);
    });
    if (!ran) skip();
  });

  test("a store without inodes", async ({ skip }) => {
    const ran = await onSmallDisk("size=8m,nr_inodes=8", async (disk) => {
      await using store = await openArtifactStore(disk, { setting: "artifact_store" });
      const names = Array.from({ length: 20 }, (_, i) => `f${i}`);
      const tries = await Promise.allSettled(
        names.map((name) => store.write(name, textSource(name), AMPLE, forever)),
      );
      const refused = tries.flatMap((one) => (one.status === "rejected" ? [one.reason as unknown] : []));
      expect(refused.length).toBeGreaterThan(0);
      for (const reason of refused) expect(reason).toMatchObject(full);
      const left = await readdir(disk);
      expect(left.length).toBe(names.length - refused.length);
      await expect(store.check(forever)).rejects.toMatchObject(full);
      await store.remove(left[0]!, forever);
      await store.check(forever);
    });
    if (!ran) skip();
  });

  test("a work folder of 8 MiB: neither an unpacked nor a packed archive leaves anything", async ({
    skip,
  }) => {
    const ran = await onSmallDisk("size=8m", async (disk) => {
      const into = join(disk, "into");
      await mkdir(into);
      const zip = join(world, "in.zip");
      await writeFile(zip, craftZip([{ name: "a/large", contents: Buffer.alloc(20 * MIB) }]));
      await expect(zipArchiver.unpack(zip, into, LIMITS, forever)).rejects.toMatchObject(full);
      expect(await readdir(into)).toEqual([]);
      await mkdir(join(world, "output"));
      const noise = Buffer.alloc(20 * MIB);
      for (let i = 0; i + 4 <= noise.length; i += 4) noise.writeUInt32LE(Math.imul(i, 2654435761) >>> 0, i);
      await writeFile(join(world, "output/noise"), noise);
      const packing = zipArchiver.pack(join(world, "output"), join(disk, "out.zip"), LIMITS, {}, forever);
      await expect(packing).rejects.toMatchObject(full);
      expect(await readdir(disk)).toEqual(["into"]);
    });
    if (!ran) skip();
  });
});

describe("H10: a publisher that is killed", () => {
  test("in 200 kills no half is ever seen under a key, and what they leave is swept at the next start", async () => {
    const program = join(world, "publisher.mjs");
    const root = join(world, "root");
    await mkdir(root);
    await build({
      entryPoints: [join(import.meta.dirname, "../support/publisher.ts")],
      outdir: world,
      outExtension: { ".js": ".mjs" },
      bundle: true,
      // What is imported on demand stays apart.
      splitting: true,
      platform: "node",
      format: "esm",
      target: "node20",
      logLevel: "error",
      // Loaded only for the clouds, which are not met here.
      external: ["@aws-sdk/*", "@google-cloud/*"],
      // For dependencies in CommonJS.
      banner: { js: 'import{createRequire}from"node:module";const require=createRequire(import.meta.url);' },
    });
    let halves = 0;
    for (let kill = 0; kill < 200; kill += 4) {
      const group = [0, 1, 2, 3].map((i) => publishAndKill(program, root, kill + i));
      await Promise.all(group);
      for (const name of await readdir(root, { recursive: true })) {
        if (name.includes(".part")) halves += 1;
        else if ((await stat(join(root, name))).isFile()) expectWhole(name, await readFile(join(root, name)));
      }
    }
    // Else it was killed between its writes only, and this has shown nothing.
    expect(halves).toBeGreaterThan(0);
    await using _store = await openArtifactStore(root, { setting: "root", local: { staleAfterMs: 0 } });
    await poll("the halves go", async () => {
      const left = (await readdir(root, { recursive: true })).filter((name) => name.includes(".part"));
      return left.length === 0 || left.join(" ");
    });
  }, 600_000);
});

test("H10: what a writer left just before a start goes in that life, once it is old enough to be nobody's", async () => {
  const half = `.hearth-${randomUUID()}.part`;
  await mkdir(join(world, "t"));
  await writeFile(join(world, "t", half), "half");
  await writeFile(join(world, "t", "whole"), "whole");
  await using store = await openArtifactStore(world, { setting: "root", local: { staleAfterMs: 12_000 } });
  await store.check(forever);
  expect((await readdir(join(world, "t"))).sort()).toEqual([half, "whole"]);
  await poll("the half goes", async () => {
    const names = await readdir(join(world, "t"));
    return names.join() === "whole" || names.join();
  });
});

function expectWhole(name: string, contents: Buffer): void {
  const bytes = Number(contents.readBigUInt64LE(0));
  expect(contents.length - 8, name).toBe(bytes);
  expect(
    contents.subarray(8).every((byte) => byte === contents[8]),
    name,
  ).toBe(true);
}

async function publishAndKill(program: string, root: string, seed: number): Promise<void> {
  const child: ChildProcess = spawn(process.execPath, [program, root, String(seed)], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const ended = new Promise((resolve) => child.once("exit", () => resolve("ended")));
  const writes = new Promise((resolve) => child.stdout?.once("data", () => resolve("writes")));
  expect(await Promise.race([writes, ended])).toBe("writes");
  // Anywhere in its work: a few of its writes take about this long.
  await new Promise((resolve) => setTimeout(resolve, (seed * 7) % 40));
  child.kill("SIGKILL");
  await ended;
}
