import { spawnSync } from "node:child_process";
import { appendFile, mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { deflateRawSync } from "node:zlib";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { ArchiveLimits, ErrorCode } from "../../src/core/index.ts";
import { zipArchiver, zipArchiverBy } from "../../src/std/archive/index.ts";
import { looksAtOnce } from "../../src/std/files/index.ts";
import { type CraftedEntry, craftZip, unicodePathExtra } from "../support/craft-zip.ts";
import { treeHash } from "../support/tree-hash.ts";

const LIMITS: ArchiveLimits = {
  entries: 10_000,
  totalBytes: 2 ** 31,
  ratio: 200,
  depth: 32,
  nameBytes: 255,
  deadlineMs: 60_000,
};
const MIB = 2 ** 20;
/** What is no larger is read as a whole, and may have been read before. */
const SMALL_BYTES = 64 * 1024;
const forever = new AbortController().signal;
const text = Buffer.from("evil");

/** `world/into` is where it is unpacked; all else in `world` is the canary. */
let world = "";
let into = "";
let zipPath = "";

beforeEach(async () => {
  world = await mkdtemp(join(tmpdir(), "hearth-archives-"));
  into = join(world, "a/b/into");
  zipPath = join(world, "in.zip");
  await mkdir(into, { recursive: true });
  await mkdir(join(world, "etc"));
  await writeFile(join(world, "etc/passwd"), "canary");
  await writeFile(join(world, "a/evil"), "canary");
});

afterEach(async () => rm(world, { recursive: true }));

const refused = async (
  archive: Buffer,
  code: ErrorCode,
  limits: Partial<ArchiveLimits> = {},
): Promise<void> => {
  await writeFile(zipPath, archive);
  const before = await treeHash(world);
  await expect(zipArchiver.unpack(zipPath, into, { ...LIMITS, ...limits }, forever)).rejects.toMatchObject({
    code,
  });
  expect(await treeHash(world)).toBe(before);
  if (archive.length > SMALL_BYTES) return;
  const fromMemory = zipArchiverBy(looksAtOnce).unpack(archive, into, { ...LIMITS, ...limits }, forever);
  await expect(fromMemory).rejects.toMatchObject({ code });
  expect(await treeHash(world)).toBe(before);
};

describe("H2: names and kinds that reach outside are refused, and nothing outside or inside changes", () => {
  const up = (name: string): [string, CraftedEntry[]] => [name, [{ name, contents: text }]];
  const link = (target: string, mode = 0o120777): CraftedEntry => ({
    name: "way",
    mode,
    contents: Buffer.from(target),
  });
  const through: CraftedEntry = { name: "way/evil", contents: text };
  const set: [string, CraftedEntry[]][] = [
    up("../evil"),
    up("../../evil"),
    up("a/../../evil"),
    up("a/.."),
    up(".."),
    up("../"),
    up("./../evil"),
    up("/etc/passwd"),
    up("//etc/passwd"),
    up("/"),
    up("..\\evil"),
    up("a\\..\\..\\evil"),
    up("\\\\server\\share\\evil"),
    up("C:\\evil"),
    up("C:evil"),
    up("c:/evil"),
    up("evil\0.txt"),
    up("\0"),
    up("a//evil"),
    up(""),
    up("a\nb"),
    up("\u001b[2Jevil"),
    ["bytes that are not UTF-8", [{ name: Buffer.from([0x66, 0xff, 0xfe]), contents: text }]],
    ["a link upwards and a file through it", [link(".."), through]],
    ["a link to the root and a file through it", [link("/"), through]],
    ["a link to a file outside", [link("../../../etc/passwd")]],
    ["a link that claims to come from DOS", [{ ...link(".."), madeBy: 0 }]],
    ["a link named as a folder", [{ ...link(".."), name: "way/" }]],
    ["a file through a link that comes later", [through, link("..")]],
    ["a character device", [{ name: "null", mode: 0o020666 }]],
    ["a block device", [{ name: "sda", mode: 0o060666 }]],
    ["a pipe", [{ name: "pipe", mode: 0o010666 }]],
    ["a socket", [{ name: "socket", mode: 0o140666 }]],
    ["one name twice", [{ name: "x", contents: text }, { name: "x" }]],
    ["one name twice, once with a dot", [{ name: "x", contents: text }, { name: "./x" }]],
    ["names that differ in case", [{ name: "Readme" }, { name: "README" }]],
    ["names that fold into one", [{ name: "stra\u00dfe" }, { name: "STRASSE" }]],
    ["folders that differ in case", [{ name: "Dir/a" }, { name: "dir/b" }]],
    ["a name composed in two ways", [{ name: "\u00e9" }, { name: "e\u0301" }]],
    [
      "a file that is a folder too",
      [
        { name: "x", contents: text },
        { name: "x/y", contents: text },
      ],
    ],
    [
      "a folder that is a file too",
      [
        { name: "x/y", contents: text },
        { name: "x", contents: text },
      ],
    ],
    ["a folder with contents", [{ name: "x/", mode: 0o040755, contents: text }]],
    ["a file marked as a folder", [{ name: "x", mode: 0o040755, contents: text }]],
    ["an entry with two names", [{ name: "x", localName: "../x", contents: text }]],
    [
      "a second name in an extra field",
      [{ name: "x", flags: 0, contents: text, extra: unicodePathExtra("x", "../evil") }],
    ],
    ["an encrypted entry", [{ name: "x", flags: 0x0801, contents: text }]],
    ["a way of compressing that nobody here knows", [{ name: "x", method: 14, contents: text }]],
  ];
  test.each(set)("%j", async (_name, entries) => refused(craftZip(entries), "ARCHIVE_INVALID"));
  test("there are at least forty of them", () => expect(set.length).toBeGreaterThanOrEqual(40));

  test("modes are not taken over: no set-user-id, nothing executable, folders that can be entered", async () => {
    await writeFile(
      zipPath,
      craftZip([
        { name: "d/", mode: 0o041000 },
        { name: "d/su", mode: 0o106755, contents: text },
        { name: "secret", mode: 0o100000, contents: text },
      ]),
    );
    await zipArchiver.unpack(zipPath, into, LIMITS, forever);
    const modeOf = async (name: string): Promise<number> => (await stat(join(into, name))).mode;
    expect(await modeOf("d")).toBe(0o040755);
    expect(await modeOf("d/su")).toBe(0o100644);
    expect(await modeOf("secret")).toBe(0o100644);
  });

  test("what only looks odd is taken: dots in front, names like options or shells' words", async () => {
    const names = ["./in.json", "-rf", "$(x)", "..hidden", "a b/c;d", "CON", "%2e%2e"];
    await writeFile(zipPath, craftZip(names.map((name) => ({ name, contents: text }))));
    await zipArchiver.unpack(zipPath, into, LIMITS, forever);
    expect((await readdir(into)).sort()).toEqual(
      ["in.json", "-rf", "$(x)", "..hidden", "a b", "CON", "%2e%2e"].sort(),
    );
  });
});

describe("H1: a damaged archive is refused and nothing of it stays", () => {
  const good = craftZip([
    { name: "a", contents: Buffer.alloc(100_000, "a") },
    { name: "b", contents: Buffer.from("bb") },
  ]);
  test.each([
    ["empty", Buffer.alloc(0)],
    ["no archive at all", Buffer.from("hello".repeat(100))],
    ["half of it", good.subarray(0, good.length >> 1)],
    ["a directory cut short", Buffer.concat([good.subarray(0, -60), good.subarray(-22)])],
    ["more entries claimed than there are", craftZip([{ name: "a" }], { entries: 9 })],
    ["a wrong checksum", craftZip([{ name: "a", contents: text, crc: 1 }])],
    ["a size too small", craftZip([{ name: "a", contents: Buffer.alloc(5000, 1), bytes: 4999 }])],
    ["a size too large", craftZip([{ name: "a", contents: Buffer.alloc(5000, 1), bytes: 5001 }])],
    ["contents that are no deflate stream", damagedContents()],
  ])("%s", async (_name, archive) => refused(archive, "ARCHIVE_INVALID"));

  test("one that grows while it is read", async () => {
    const archive = craftZip(
      Array.from({ length: 400 }, (_, i) => ({ name: `f${i}`, contents: Buffer.alloc(20_000, i) })),
    );
    await writeFile(zipPath, archive);
    const reading = zipArchiver.unpack(zipPath, into, LIMITS, forever);
    const growing = (async () => {
      for (let i = 0; i < 3; i += 1) await appendFile(zipPath, "more");
    })();
    await expect(reading).rejects.toMatchObject({ code: "ARCHIVE_INVALID" });
    await growing;
    expect(await readdir(into)).toEqual([]);
  });

  test("the wish to stop is obeyed in the middle, and nothing stays", async () => {
    const stop = new AbortController();
    await writeFile(zipPath, craftZip([{ name: "a", contents: Buffer.alloc(64 * MIB) }]));
    const reading = zipArchiver.unpack(zipPath, into, { ...LIMITS, ratio: 10_000 }, stop.signal);
    const reason = new Error("enough");
    setTimeout(() => stop.abort(reason), 20);
    await expect(reading).rejects.toBe(reason);
    expect(await readdir(into)).toEqual([]);
  });
});

describe("H3: bombs end at what is really unpacked", () => {
  test("a thousand to one: a mebibyte that becomes a gibibyte", async () => {
    await refused(craftZip([{ name: "zeros", contents: Buffer.alloc(1024 * MIB) }]), "ARCHIVE_TOO_LARGE");
  });

  test("a size that is claimed small does not let more through than the claim", async () => {
    const liar = { name: "zeros", contents: Buffer.alloc(512 * MIB), bytes: 10 };
    await refused(craftZip([liar]), "ARCHIVE_INVALID");
  });

  test("many files share the limit on bytes", async () => {
    const files = Array.from({ length: 100 }, (_, i) => ({
      name: `f${i}`,
      method: 0,
      contents: Buffer.alloc(MIB, i),
    }));
    await refused(craftZip(files), "ARCHIVE_TOO_LARGE", { totalBytes: 50 * MIB });
  });

  test("entries that overlap, as in Fifield's bomb", async () => {
    const kernel = { name: "f0", contents: Buffer.alloc(MIB) };
    const others = Array.from({ length: 2000 }, () => ({
      name: "f0",
      sharesWith: 0,
      bytes: MIB,
      contents: Buffer.alloc(0),
    }));
    // Each entry has its own name in the directory, and all lead to one place.
    const named = others.map((entry, i) => ({ ...entry, name: `f${i + 1}` }));
    await refused(craftZip([kernel, ...named]), "ARCHIVE_INVALID");
  });

  test("entries quoted into one another overlap too, although each has a header of its own", async () => {
    const archive = quotedOverlap();
    await refused(archive, "ARCHIVE_INVALID");
  });

  test("a million entries", async () => {
    // No packer is quick enough for a test, and Python's is: real entries, counted in zip64.
    const made = spawnSync("python3", ["-c", MILLION, zipPath]);
    expect(made.status, made.stderr.toString()).toBe(0);
    await refused(await readFile(zipPath), "ARCHIVE_TOO_LARGE");
  });

  test("archives inside are files like others", async () => {
    const inner = craftZip([{ name: "zeros", contents: Buffer.alloc(100 * MIB) }]);
    const middle = craftZip([{ name: "in.zip", method: 0, contents: inner }]);
    await writeFile(zipPath, craftZip([{ name: "out.zip", method: 0, contents: middle }]));
    await zipArchiver.unpack(zipPath, into, LIMITS, forever);
    expect(await readdir(into)).toEqual(["out.zip"]);
    expect((await stat(join(into, "out.zip"))).size).toBe(middle.length);
  });

  test("folders too deep and names too long", async () => {
    await refused(craftZip([{ name: "d/".repeat(33) }]), "ARCHIVE_TOO_LARGE");
    await refused(craftZip([{ name: "n".repeat(256) }]), "ARCHIVE_TOO_LARGE");
  });

  test("time", async () => {
    const files = Array.from({ length: 3000 }, (_, i) => ({ name: `f${i}`, contents: Buffer.from(`${i}`) }));
    await refused(craftZip(files), "ARCHIVE_TOO_LARGE", { deadlineMs: 5 });
  });
});

function damagedContents(): Buffer {
  const archive = craftZip([
    { name: "a", contents: Buffer.from("some words that compress, words that compress") },
  ]);
  archive.fill(0xff, 31, 45);
  return archive;
}

/**
 * Fifield's second construction: the contents of each entry are a stored block that holds the next entry's header, and end in
 * the one kernel that all share.
 */
function quotedOverlap(): Buffer {
  const kernel = deflateRawSync(Buffer.alloc(MIB));
  const inner = craftZip([{ name: "b", contents: Buffer.alloc(MIB) }]);
  const innerHeader = inner.subarray(0, 31);
  const quote = Buffer.alloc(5);
  quote.writeUInt8(0, 0);
  quote.writeUInt16LE(innerHeader.length, 1);
  quote.writeUInt16LE(~innerHeader.length & 0xffff, 3);
  const outer = Buffer.concat([innerHeader, Buffer.alloc(MIB)]);
  const archive = craftZip([
    { name: "a", contents: outer },
    { name: "b", contents: Buffer.alloc(MIB) },
  ]);
  const central = archive.subarray(archive.indexOf(Buffer.from([0x50, 0x4b, 1, 2])), -22);
  const header = archive.subarray(0, 31);
  const data = Buffer.concat([quote, innerHeader, kernel]);
  const body = Buffer.concat([header, data]);
  const directory = Buffer.from(central);
  directory.writeUInt32LE(data.length, 20);
  const second = directory.indexOf(Buffer.from([0x50, 0x4b, 1, 2]), 4);
  directory.writeUInt32LE(kernel.length, second + 20);
  directory.writeUInt32LE(header.length + quote.length, second + 42);
  const end = Buffer.from(archive.subarray(-22));
  end.writeUInt32LE(directory.length, 12);
  end.writeUInt32LE(body.length, 16);
  return Buffer.concat([body, directory, end]);
}

const MILLION = `
import struct, sys
n = 10**6
out = bytearray()
for i in range(n):
    out += struct.pack("<4s5H3I2H", b"PK\\3\\4", 20, 0, 0, 0, 33, 0, 0, 0, 7, 0) + b"%07d" % i
start = len(out)
for i in range(n):
    out += struct.pack("<4s6H3I5H2I", b"PK\\1\\2", 20, 20, 0, 0, 0, 33, 0, 0, 0, 7, 0, 0, 0, 0, 0, i * 37) + b"%07d" % i
size = len(out) - start
at = len(out)
out += struct.pack("<4sQ2H2I4Q", b"PK\\6\\6", 44, 45, 45, 0, 0, n, n, size, start)
out += struct.pack("<4sIQI", b"PK\\6\\7", 0, at, 1)
out += struct.pack("<4s4H2IH", b"PK\\5\\6", 0, 0, 0xffff, 0xffff, size, start, 0)
open(sys.argv[1], "wb").write(out)
`;
