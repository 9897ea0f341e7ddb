import { spawnSync } from "node:child_process";
import { mkdir, mkdtemp, readdir, readFile, rm, stat, truncate, utimes, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { ArchiveLimits } from "../../src/core/index.ts";
import { zipArchiver } from "../../src/std/archive/index.ts";

const LIMITS: ArchiveLimits = {
  entries: 10_000,
  totalBytes: 2 ** 31,
  ratio: 200,
  depth: 32,
  nameBytes: 255,
  deadlineMs: 60_000,
};
const forever = new AbortController().signal;
const EXTRA = { "artifacts/": new Uint8Array(), "output.json": Buffer.from("[]") };

let world = "";
const at = (...names: string[]): string => join(world, ...names);

beforeEach(async () => {
  world = await mkdtemp(join(tmpdir(), "hearth-archives-"));
  await mkdir(at("into"));
  await mkdir(at("output"));
});
afterEach(async () => rm(world, { recursive: true }));

const run = (program: string, ...args: string[]): string => {
  const ran = spawnSync(program, args, { cwd: world });
  expect(ran.status, ran.stderr.toString()).toBe(0);
  return ran.stdout.toString();
};
const python = (code: string, ...args: string[]): string => run("python3", "-c", code, ...args);
const unpack = (name: string, limits: Partial<ArchiveLimits> = {}): Promise<void> =>
  zipArchiver.unpack(at(name), at("into"), { ...LIMITS, ...limits }, forever);

describe("archives that honest packers write are unpacked as they are", () => {
  test("what the 2023 client sends: input.json, an array and a folder, written by Python's zipfile", async () => {
    python(`
import json, os, zipfile
os.makedirs("sim_dir/mesh/empty")
open("sim_dir/in.json", "w").write('{"t": 1}')
open("sim_dir/mesh/grid.bin", "wb").write(bytes(range(256)) * 4096)
open("sim_dir/größe.txt", "w").write("ü")
with zipfile.ZipFile("in.zip", "w") as z:
    z.writestr("input.json", json.dumps({"sim_dir": "sim_dir", "a": "a.npy"}))
    z.writestr("a.npy", b"\\x93NUMPY" + bytes(1000), zipfile.ZIP_DEFLATED)
    for root, folders, files in os.walk("sim_dir"):
        for name in folders + files:
            z.write(os.path.join(root, name))
`);
    await unpack("in.zip");
    expect((await readdir(at("into"), { recursive: true })).sort()).toEqual([
      "a.npy",
      "input.json",
      "sim_dir",
      "sim_dir/größe.txt",
      "sim_dir/in.json",
      "sim_dir/mesh",
      "sim_dir/mesh/empty",
      "sim_dir/mesh/grid.bin",
    ]);
    expect(await readFile(at("into/sim_dir/mesh/grid.bin"))).toEqual(
      await readFile(at("sim_dir/mesh/grid.bin")),
    );
    expect((await stat(at("into/sim_dir/mesh"))).mode & 0o777).toBe(0o755);
    expect((await stat(at("into/sim_dir/in.json"))).mode & 0o777).toBe(0o644);
  });

  test("one written to a pipe, whose sizes follow the contents, and one in zip64 all through", async () => {
    python(`
import io, sys, zipfile
class Pipe(io.RawIOBase):
    def __init__(self): self.f = open("stream.zip", "wb")
    def writable(self): return True
    def write(self, b): return self.f.write(b)
with zipfile.ZipFile(Pipe(), "w", zipfile.ZIP_DEFLATED) as z:
    z.writestr("a", b"x" * 100000)
    z.writestr("b/c", b"y")
with zipfile.ZipFile("wide.zip", "w") as z:
    with z.open("wide", "w", force_zip64=True) as f: f.write(b"z" * 10)
`);
    await unpack("stream.zip");
    expect((await readFile(at("into/a"))).length).toBe(100_000);
    await rm(at("into"), { recursive: true });
    await mkdir(at("into"));
    await unpack("wide.zip");
    expect(await readFile(at("into/wide"), "utf8")).toBe("zzzzzzzzzz");
  });

  test("one by Info-ZIP, with names that are not ASCII, and one without any entry", async () => {
    await mkdir(at("d/sub"), { recursive: true });
    await writeFile(at("d/sub/naïve.txt"), "1");
    await writeFile(at("d/run.sh"), "2", { mode: 0o755 });
    run("zip", "-q", "-r", "info.zip", "d");
    await unpack("info.zip");
    expect((await readdir(at("into"), { recursive: true })).sort()).toEqual([
      "d",
      "d/run.sh",
      "d/sub",
      "d/sub/naïve.txt",
    ]);
    await rm(at("into"), { recursive: true });
    await mkdir(at("into"));
    python(`import zipfile; zipfile.ZipFile("none.zip", "w").close()`);
    await unpack("none.zip");
    expect(await readdir(at("into"))).toEqual([]);
  });
});

describe("what is packed is what other programs read", () => {
  const pack = (limits: Partial<ArchiveLimits> = {}): ReturnType<typeof zipArchiver.pack> =>
    zipArchiver.pack(at("output"), at("out.zip"), { ...LIMITS, ...limits }, EXTRA, forever);
  const namesOf = (name: string): string[] =>
    JSON.parse(
      python(
        "import json, sys, zipfile; z = zipfile.ZipFile(sys.argv[1]); assert z.testzip() is None; print(json.dumps(z.namelist()))",
        at(name),
      ),
    ) as string[];

  test("I6: folders have entries of their own, the root has none, and the order is that of the names", async () => {
    await mkdir(at("output/artifacts/deep/er"), { recursive: true });
    await writeFile(at("output/output.json"), '["x"]');
    await writeFile(at("output/artifacts/b.txt"), "b".repeat(10_000));
    await writeFile(at("output/artifacts/a.bin"), Buffer.alloc(300_000, 7));
    await writeFile(at("output/artifacts/deep/er/é"), "");
    expect(await pack()).toEqual({ bytes: 310_005, files: 4, skipped: [], skippedCount: 0 });
    expect(namesOf("out.zip")).toEqual([
      "artifacts/",
      "artifacts/a.bin",
      "artifacts/b.txt",
      "artifacts/deep/",
      "artifacts/deep/er/",
      "artifacts/deep/er/é",
      "output.json",
    ]);
    run("unzip", "-tq", "out.zip");
    await zipArchiver.unpack(at("out.zip"), at("into"), { ...LIMITS, ratio: 1000 }, forever);
    expect(await readFile(at("into/artifacts/a.bin"))).toEqual(Buffer.alloc(300_000, 7));
    expect(await readFile(at("into/output.json"), "utf8")).toBe('["x"]');
  });

  test("I6: no output folder, an empty one, and a link in its place all give the two entries that the client needs", async () => {
    await pack();
    expect(namesOf("out.zip")).toEqual(["artifacts/", "output.json"]);
    await rm(at("out.zip"));
    await rm(at("output"), { recursive: true });
    expect(await pack()).toMatchObject({ files: 0, skippedCount: 0 });
    expect(namesOf("out.zip")).toEqual(["artifacts/", "output.json"]);
    await rm(at("out.zip"));
    run("ln", "-s", "/etc", "output");
    expect(await pack()).toMatchObject({ files: 0, skipped: ["."] });
    expect(namesOf("out.zip")).toEqual(["artifacts/", "output.json"]);
  });

  test("two archives of one folder are equal, byte for byte", async () => {
    for (const name of ["z", "a", "m"]) {
      await writeFile(at("output", name), name.repeat(100_000));
      await utimes(at("output", name), 1_700_000_000, 1_700_000_000);
    }
    await pack();
    const first = await readFile(at("out.zip"));
    await rm(at("out.zip"));
    await pack();
    expect((await readFile(at("out.zip"))).equals(first)).toBe(true);
  });

  test("a file above four gibibytes is in zip64, and Python reads its size and end", async () => {
    await writeFile(at("output/large"), "");
    await truncate(at("output/large"), 2 ** 32 + 5);
    await writeFile(at("output/later"), "after it");
    await pack({ totalBytes: 2 ** 33, deadlineMs: 200_000 });
    expect(
      python(
        "import sys, zipfile; z = zipfile.ZipFile(sys.argv[1]); print(z.getinfo('large').file_size, z.read('later').decode())",
        at("out.zip"),
      ).trim(),
    ).toBe(`${2 ** 32 + 5} after it`);
    const [large] = await zipArchiver.list(at("out.zip"), { ...LIMITS, totalBytes: 2 ** 33 }, forever);
    expect(large).toMatchObject({ name: "large", bytes: 2 ** 32 + 5 });
  }, 300_000);

  test("some files of an archive become one of their own, and a missing one is named", async () => {
    await mkdir(at("output/artifacts"));
    await writeFile(at("output/artifacts/a.txt"), "A");
    await writeFile(at("output/artifacts/b.txt"), "B");
    await pack();
    const pick = (names: Record<string, string>): Promise<void> =>
      zipArchiver.pick(at("out.zip"), names, at("some.zip"), LIMITS, forever);
    await pick({ "artifacts/b.txt": "b.txt" });
    expect(namesOf("some.zip")).toEqual(["b.txt"]);
    await rm(at("some.zip"));
    for (const missing of ["artifacts/c.txt", "artifacts/", "__proto__"])
      await expect(pick({ [missing]: "x" })).rejects.toMatchObject({
        code: "ARTIFACT_NOT_FOUND",
        facts: { name: missing },
      });
    await expect(stat(at("some.zip"))).rejects.toMatchObject({ code: "ENOENT" });
    expect(await zipArchiver.list(at("out.zip"), LIMITS, forever)).toEqual([
      { name: "artifacts/", bytes: 0, compressedBytes: 0 },
      { name: "artifacts/a.txt", bytes: 1, compressedBytes: 1 },
      { name: "artifacts/b.txt", bytes: 1, compressedBytes: 1 },
      { name: "output.json", bytes: 2, compressedBytes: 2 },
    ]);
  });
});
