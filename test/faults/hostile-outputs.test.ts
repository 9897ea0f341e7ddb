import { spawnSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import {
  link,
  mkdir,
  mkdtemp,
  readFile,
  rename,
  rm,
  stat,
  symlink,
  truncate,
  writeFile,
} from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { ArchiveLimits, PackReport } from "../../src/core/index.ts";
import { zipArchiver, zipArchiverBy } from "../../src/std/archive/index.ts";
import { looksAtOnce, looksLater } from "../../src/std/files/index.ts";

const LIMITS: ArchiveLimits = {
  entries: 200_000,
  totalBytes: 2 ** 31,
  ratio: 200,
  depth: 32,
  nameBytes: 255,
  deadlineMs: 200_000,
};
const forever = new AbortController().signal;
/** Bytes that no packing changes, so that they are found wherever they went. */
const CANARY = randomBytes(64);

let world = "";
const at = (...names: string[]): string => join(world, ...names);

beforeEach(async () => {
  world = await mkdtemp(join(tmpdir(), "hearth-outputs-"));
  await mkdir(at("output"));
  await mkdir(at("secret"));
  await writeFile(at("secret/file"), CANARY);
});
afterEach(async () => rm(world, { recursive: true }));

let archiver = zipArchiver;
const pack = (limits: Partial<ArchiveLimits> = {}): Promise<PackReport> =>
  archiver.pack(at("output"), at("out.zip"), { ...LIMITS, ...limits }, {}, forever);
const run = (program: string, ...args: string[]): string => {
  const ran = spawnSync(program, args, { cwd: world });
  expect(ran.status, ran.stderr.toString()).toBe(0);
  return ran.stdout.toString();
};
/** Names and contents as Python finds them; contents as latin1 text. */
const contentsOf = (): Record<string, string> =>
  JSON.parse(
    run(
      "python3",
      "-c",
      "import json, zipfile; z = zipfile.ZipFile('out.zip'); print(json.dumps({n: z.read(n).decode('latin1') for n in z.namelist()}))",
    ),
  ) as Record<string, string>;

describe.each([
  ["looked at by a thread", looksLater],
  ["looked at at once", looksAtOnce],
])("H4: what a job leaves in its output, %s, is packed without following it anywhere", (_, looks) => {
  beforeEach(() => {
    archiver = zipArchiverBy(looks);
  });

  test("links, pipes, sockets and devices are left out and named; nothing hangs", async () => {
    await symlink(at("secret/file"), at("output/absolute"));
    await symlink("../secret/file", at("output/relative"));
    await symlink("../secret", at("output/folder"));
    await symlink("nowhere", at("output/dangling"));
    await symlink("loop", at("output/loop"));
    run("mkfifo", "output/pipe");
    const hasDevices = spawnSync("mknod", [at("output/zero"), "c", "1", "5"]).status === 0;
    const server = createServer().listen(at("output/socket"));
    await writeFile(at("output/real"), "mine");
    const report = await pack();
    server.close();
    const odd = ["absolute", "dangling", "folder", "loop", "pipe", "relative", "socket"];
    expect(report).toEqual({
      bytes: 4,
      files: 1,
      skipped: hasDevices ? [...odd, "zero"] : odd,
      skippedCount: hasDevices ? 8 : 7,
    });
    expect(contentsOf()).toEqual({ real: "mine" });
    expect((await readFile(at("out.zip"))).includes(CANARY)).toBe(false);
  });

  test("a second name of a file is a file: both are packed", async () => {
    await writeFile(at("output/a"), "same");
    await link(at("output/a"), at("output/b"));
    await pack();
    expect(contentsOf()).toEqual({ a: "same", b: "same" });
  });

  test("a sparse terabyte is counted as what it would unpack to, and ends soon", async () => {
    await writeFile(at("output/hole"), "");
    await truncate(at("output/hole"), 2 ** 40);
    await expect(pack({ totalBytes: 2 ** 28 })).rejects.toMatchObject({ code: "ARCHIVE_TOO_LARGE" });
    await expect(stat(at("out.zip"))).rejects.toMatchObject({ code: "ENOENT" });
  });

  test("a sparse file within the limit is whole", async () => {
    await writeFile(at("output/hole"), "");
    await truncate(at("output/hole"), 2 ** 26);
    expect(await pack()).toMatchObject({ bytes: 2 ** 26, files: 1 });
    expect((await zipArchiver.list(at("out.zip"), LIMITS, forever))[0]).toMatchObject({ bytes: 2 ** 26 });
  });

  test("names that no reader takes are escaped, and none is lost or doubled", async () => {
    const odd = [
      Buffer.from("new\nline"),
      Buffer.from("new%0Aline"),
      Buffer.from("back\\slash"),
      Buffer.from("..\\..\\up"),
      Buffer.from("C:drive"),
      Buffer.from([0x66, 0xff]),
      Buffer.from("\u001b[2J"),
      Buffer.from("plain % ü"),
    ];
    for (const [i, name] of odd.entries())
      await writeFile(Buffer.concat([Buffer.from(`${at("output")}/`), name]), `${i}`);
    await pack();
    expect(contentsOf()).toEqual({
      "new%0Aline~2": "0",
      "new%0Aline": "1",
      "back%5Cslash": "2",
      "..%5C..%5Cup": "3",
      "C%3Adrive": "4",
      "f%FF": "5",
      "%1B[2J": "6",
      "plain % ü": "7",
    });
    await mkdir(at("into"));
    await zipArchiver.unpack(at("out.zip"), at("into"), LIMITS, forever);
  });

  test("a hundred thousand files are packed, and one more than allowed is refused", async () => {
    run(
      "python3",
      "-c",
      "import os\nos.mkdir('output/d')\nfor i in range(100000): open(f'output/d/{i}', 'w').write(str(i))",
    );
    expect(await pack()).toMatchObject({ files: 100_000 });
    expect(
      run(
        "python3",
        "-c",
        "import zipfile; z = zipfile.ZipFile('out.zip'); print(len(z.namelist()), z.read('d/99999').decode())",
      ).trim(),
    ).toBe("100001 99999");
    await rm(at("out.zip"));
    await expect(pack({ entries: 100_000 })).rejects.toMatchObject({ code: "ARCHIVE_TOO_LARGE" });
  }, 300_000);

  test("folders too deep are refused", async () => {
    await mkdir(at("output", ...Array.from({ length: 40 }, () => "d")), { recursive: true });
    await expect(pack()).rejects.toMatchObject({ code: "ARCHIVE_TOO_LARGE" });
  });

  test("folders that are swapped for links while they are packed never lead outside", async () => {
    for (let i = 0; i < 20; i += 1) {
      await mkdir(at(`output/d${i}/e`), { recursive: true });
      await writeFile(at(`output/d${i}/e/file`), "mine");
    }
    await mkdir(at("secret/e"));
    await writeFile(at("secret/e/file"), CANARY);
    const over = new AbortController();
    let swaps = 0;
    const swapping = (async () => {
      await symlink(at("secret"), at("link"));
      while (!over.signal.aborted) {
        const victim = at(`output/d${swaps % 20}`);
        await rename(victim, at("aside"));
        await rename(at("link"), victim);
        await rename(victim, at("link"));
        await rename(at("aside"), victim);
        swaps += 1;
      }
    })();
    for (let round = 0; round < 60 || (swaps <= 20 && round < 2000); round += 1) {
      await rm(at("out.zip"), { force: true });
      await pack();
      expect((await readFile(at("out.zip"))).includes(CANARY)).toBe(false);
      for (const contents of Object.values(round % 10 === 0 ? contentsOf() : {}))
        expect(["", "mine"]).toContain(contents);
    }
    over.abort();
    await swapping;
    expect(swaps).toBeGreaterThan(20);
  });

  test("the wish to stop is obeyed, and no archive is left", async () => {
    await writeFile(at("output/hole"), "");
    await truncate(at("output/hole"), 2 ** 40);
    const stop = new AbortController();
    const packing = archiver.pack(
      at("output"),
      at("out.zip"),
      { ...LIMITS, totalBytes: 2 ** 41 },
      {},
      stop.signal,
    );
    const reason = new Error("enough");
    setTimeout(() => stop.abort(reason), 100);
    await expect(packing).rejects.toBe(reason);
    await expect(stat(at("out.zip"))).rejects.toMatchObject({ code: "ENOENT" });
  });
});
