import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { zipArchiver } from "../../std/archive/index.ts";
import { packOutput } from "./pack-output.ts";

const LIMITS = { entries: 50, totalBytes: 1e6, ratio: 1000, depth: 5, nameBytes: 100, deadlineMs: 60_000 };
const PRINTED = { "artifacts/stdout.txt": Buffer.from("it was printed") };

let folder = "";
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "hearth-pack-output-"));
  await mkdir(join(folder, "output"));
});
afterEach(async () => {
  await rm(folder, { recursive: true });
});

/** What is in the archive of `output/`, unpacked by a reader that refuses a name that is both a file and a folder. */
async function packed(): Promise<readonly string[]> {
  const { signal } = new AbortController();
  const zip = join(folder, "output.zip");
  const workDir = { localPath: folder, hostPath: folder, target: "/working_dir" };
  await packOutput(zipArchiver, { workDir }, PRINTED, LIMITS, zip, signal);
  await mkdir(join(folder, "read"));
  await zipArchiver.unpack(zip, join(folder, "read"), LIMITS, signal);
  const entries = await zipArchiver.list(zip, LIMITS, signal);
  return entries.map(({ name }) => name).sort();
}

test("folders with the names of what every result has are packed beside it, with all that is in them", async () => {
  await mkdir(join(folder, "output/output.json/deep"), { recursive: true });
  await writeFile(join(folder, "output/output.json/deep/kept"), "1");
  await mkdir(join(folder, "output/artifacts/stdout.txt"), { recursive: true });
  await writeFile(join(folder, "output/artifacts/stdout.txt/kept"), "2");
  await writeFile(join(folder, "output/artifacts/own"), "3");
  expect(await packed()).toEqual([
    "artifacts/",
    "artifacts/own",
    "artifacts/stdout.txt",
    "artifacts/stdout.txt~2/",
    "artifacts/stdout.txt~2/kept",
    "output.json",
    "output.json~2/",
    "output.json~2/deep/",
    "output.json~2/deep/kept",
  ]);
});

test("a file in the place of the folder of artifacts makes way for it, also where its new name is taken", async () => {
  await writeFile(join(folder, "output/artifacts"), "a file");
  await writeFile(join(folder, "output/artifacts~2"), "another");
  expect(await packed()).toEqual([
    "artifacts/",
    "artifacts/stdout.txt",
    "artifacts~2",
    "artifacts~2~2",
    "output.json",
  ]);
});

test("what the script has written itself stays as it is", async () => {
  await mkdir(join(folder, "output/artifacts"));
  await writeFile(join(folder, "output/artifacts/stdout.txt"), "own");
  await writeFile(join(folder, "output/output.json"), "{}");
  expect(await packed()).toEqual(["artifacts/", "artifacts/stdout.txt", "output.json"]);
});
