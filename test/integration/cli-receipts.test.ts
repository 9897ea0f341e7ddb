import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Readable } from "node:stream";
import * as fc from "fast-check";
import { afterEach, beforeEach, expect, test } from "vitest";
import type { Io } from "../../src/cli/io.ts";
import type { Parts } from "../../src/cli/parts.ts";
import { runCli } from "../../src/cli/run.ts";
import type { ChainReport } from "../../src/core/index.ts";
import { MemoryReceipts } from "../support/memory-receipts.ts";
import type { TestDoor } from "../support/open-test-door.ts";
import { openTestDoor } from "../support/open-test-door.ts";
import { poll } from "../support/poll.ts";

let folder: string;
let receipts: MemoryReceipts;
let door: TestDoor;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "hearth-verify-"));
  receipts = new MemoryReceipts();
  door = await openTestDoor({ receipts });
});
afterEach(async () => {
  await door[Symbol.asyncDispose]();
  await rm(folder, { recursive: true });
});

interface Ran {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

/** The command line in this process; only what it prints and its code come out. */
async function hearth(
  argv: readonly string[],
  stdin: Buffer = Buffer.alloc(0),
  onOut?: (text: string) => void,
): Promise<Ran> {
  const printed = { out: "", err: "" };
  const io: Io = {
    out: (text) => {
      printed.out += text.toString();
      onOut?.(text.toString());
      return Promise.resolve();
    },
    err: (text) => {
      printed.err += text;
    },
    status: () => undefined,
    isOutTty: false,
    isErrTty: false,
    stdin: Readable.from([stdin]),
    style: (_, text) => text,
    endWithReader: () => undefined,
    terminal: () => undefined,
  };
  const parts = { version: "1.2.3" } as Parts;
  const code = await runCli({ argv, io, env: { HEARTH_HOST: door.url }, cwd: folder, parts });
  return { code, ...printed };
}

async function exported(): Promise<string> {
  const { code, out } = await hearth(["receipts", "export"]);
  expect(code).toBe(0);
  return out;
}

async function written(name: string, text: string | Buffer): Promise<string> {
  await writeFile(join(folder, name), text);
  return name;
}

test("runs lists every attempt with its filters, shows one whole, and passes a misspelt filter to nobody", async () => {
  receipts.add("one", { door: "legacy" });
  receipts.add("two", { outcome: "failed", error: "RUN_TIMEOUT", image: "b:2" });
  const { code, out } = await hearth(["runs"]);
  expect(code).toBe(0);
  const [head, ...rows] = out.trim().split("\n");
  expect(head).toMatch(/^ID +DOOR +TASK +STATE +STARTED +TOOK +CPU +ANSWER$/);
  expect(rows.map((row) => row.split(/ {2,}/).map((cell) => cell.trim()))).toEqual([
    ["two", "v1", "b:2", "failed", "1970-01-01T00:00:02.000Z", "3.00 ms", "0.50 ms", "RUN_TIMEOUT"],
    ["one", "legacy", "a:1", "answered", "1970-01-01T00:00:01.000Z", "3.00 ms", "0.50 ms", "200, 3 bytes"],
  ]);
  expect((await hearth(["runs", "-q", "--outcome", "failed"])).out).toBe("two\n");
  expect((await hearth(["runs", "-q", "--since", "1h"])).out).toBe("");
  expect((await hearth(["runs", "-q", "--until", "1970-01-01T00:00:02Z"])).out).toBe("one\n");
  expect((await hearth(["runs", "--since", "soon"])).code).toBe(2);
  expect((await hearth(["runs", "--outcome", "perhaps"])).code).toBe(2);
  expect((await hearth(["runs", "two"])).code).toBe(2);

  const shown = await hearth(["runs", "show", "two"]);
  expect(shown.out).toMatch(/^state +failed: .*\(RUN_TIMEOUT\)$/m);
  expect(shown.out).toMatch(/^took +3\.00 ms, queued 1\.00 ms, firstByte 1\.50 ms, answer 0\.50 ms$/m);
  expect(shown.out).toMatch(/^used +0\.50 ms CPU, 4 KB at most, 2 bytes in, 3 out$/m);
  expect(JSON.parse((await hearth(["runs", "show", "one", "--json"])).out)).toMatchObject({ id: "one" });
  expect((await hearth(["runs", "show", "nobody"])).code).toBe(1);
});

test("runs that end are followed, each once and in their order, until somebody leaves", async () => {
  receipts.add("before");
  const seen: string[] = [];
  const following = hearth(["runs", "-f", "-q"], undefined, (text) => seen.push(text.trim()));
  // Whatever has ended by its first look is the past; one of these is the first that is not.
  let added = 0;
  await poll("it follows", async () => {
    receipts.add(`r${added}`);
    added += 1;
    return seen.length > 0 || "nothing yet";
  });
  receipts.add("x");
  receipts.add("y", { outcome: "failed", error: "TASK_EXITED" });
  await poll("it has seen the last", () => Promise.resolve(seen.includes("y") || seen.join()));
  process.emit("SIGINT");
  expect((await following).code).toBe(130);
  const first = Number(seen[0]?.slice(1));
  const expected = Array.from({ length: added - first }, (_, at) => `r${first + at}`);
  expect(seen).toEqual([...expected, "x", "y"]);
});

test("W: a chain is whole online, from a file and from standard input, with the key that was noted or without", async () => {
  for (const id of ["a", "b", "c"]) receipts.add(id);
  const online = await hearth(["verify"]);
  expect([online.code, online.out.split("\n")[0]]).toEqual([0, "whole: entries 1 to 3, 3 attempts"]);
  expect(online.out).toContain("taken from the chain itself");
  const file = await written("chain.ndjson", await exported());
  const key = (await hearth(["receipts", "key"])).out.trim();
  await written("host.key", `${key}\n`);
  // Nothing of this needs a daemon.
  await door[Symbol.asyncDispose]();
  expect((await hearth(["verify", file])).code).toBe(0);
  expect((await hearth(["verify", file, "--key", "host.key"])).out).toContain(`${key}, as given`);
  expect((await hearth(["verify", "-", "--key", key], await readFile(join(folder, file)))).code).toBe(0);
  const report = JSON.parse((await hearth(["verify", file, "--json"])).out) as ChainReport;
  expect(report).toMatchObject({ isWhole: true, isComplete: true, attempts: 3, publicKey: key });
  expect((await hearth(["verify", file, "--must-hold", report.head])).code).toBe(0);
  expect((await hearth(["verify", file, "--must-hold", "0".repeat(63) + "1"])).code).toBe(1);
});

test("W: one changed byte anywhere in an exported chain is found, and the first bad entry is named", async () => {
  for (const id of ["a", "b", "c", "d"]) receipts.add(id, { image: "ä�:1" });
  const chain = Buffer.from(await exported());
  const key = (await hearth(["receipts", "key"])).out.trim();
  const change = fc.tuple(fc.nat(chain.length - 1), fc.integer({ min: 1, max: 255 }));
  await fc.assert(
    fc.asyncProperty(change, async ([at, by]) => {
      const changed = Buffer.from(chain);
      changed[at] = ((changed[at] as number) + by) % 256;
      const { code, out } = await hearth(["verify", "-", "--key", key, "--json"], changed);
      expect([code, (JSON.parse(out) as ChainReport).isWhole]).toEqual([1, false]);
    }),
    { numRuns: 300 },
  );
  const lines = chain.toString().split("\n");
  const third = lines.map((line, at) => (at === 4 ? line.replace('"status":200', '"status":201') : line));
  const bad = await hearth(["verify", await written("bad", third.join("\n"))]);
  expect([bad.code, bad.out.split("\n")[0]]).toEqual([
    1,
    "broken at line 5, entry 3: entry 3 was changed, or stands where it does not belong",
  ]);
});

test("W: only the line end of the last line may be missing, as shells drop it; one character more is a cut end", async () => {
  for (const id of ["a", "b"]) receipts.add(id);
  const chain = await exported();
  expect(chain.endsWith("}\n")).toBe(true);
  const codes = [chain, chain.slice(0, -1), chain.slice(0, -2), `${chain}\n`].map(
    async (text) => (await hearth(["verify", "-"], Buffer.from(text))).code,
  );
  expect(await Promise.all(codes)).toEqual([0, 0, 1, 1]);
});

test("W: a line that is left out, a cut end and another host's chain are found", async () => {
  for (const id of ["a", "b", "c", "d"]) receipts.add(id);
  const lines = (await exported()).trimEnd().split("\n");
  const check = async (kept: readonly string[], ...more: string[]): Promise<Ran> =>
    await hearth(["verify", await written("part", `${kept.join("\n")}\n`), ...more]);
  expect((await check(lines.filter((_, at) => at !== 3))).out).toContain("entry 2 is missing");
  const block = await check(lines.filter((_, at) => at !== 1));
  expect([block.code, block.out]).toEqual([1, expect.stringContaining("entry 1 stands in no block")]);
  for (let kept = 1; kept < lines.length; kept += 1) {
    const { code, out } = await check(lines.slice(0, kept));
    expect([code, out.startsWith("broken at line ")]).toEqual([1, true]);
    expect(out).not.toContain("a part:");
  }
  receipts = new MemoryReceipts();
  const { publicKey } = await receipts.key();
  expect((await check(lines, "--key", publicKey)).out).toContain("it is of another key");
  expect((await check(lines, "--key", "nonsense")).code).toBe(2);
});

test("W: a single receipt proves itself, pretty-printed too; a changed one does not", async () => {
  for (const id of ["a", "b", "c"]) receipts.add(id);
  const text = (await hearth(["runs", "show", "b", "--receipt"])).out;
  const good = await hearth(["verify", await written("r.json", text)]);
  expect([good.code, good.out.split("\n")[0]]).toEqual([0, "genuine: the receipt of run b, entry 2"]);
  const pretty = JSON.stringify(JSON.parse(text), undefined, 2);
  expect((await hearth(["verify", await written("r.json", pretty)])).code).toBe(0);
  const forged = await hearth([
    "verify",
    await written("r.json", text.replaceAll('"bytesIn":2', '"bytesIn":1')),
  ]);
  expect([forged.code, forged.out]).toEqual([
    1,
    expect.stringMatching(/^forged: its canonical text is not that of its entry/),
  ]);
});

test("W: what stands in a receipt and was signed by nobody keeps it from being genuine, and what was checked is said", async () => {
  for (const id of ["a", "b", "c"]) receipts.add(id);
  const text = (await hearth(["runs", "show", "b", "--receipt"])).out.trim();
  const check = async (changed: string, ...more: string[]): Promise<Ran> =>
    await hearth(["verify", "-", ...more], Buffer.from(changed));
  expect((await check(text)).out).toMatch(/^checked +its entry, place and signature; --receipt /m);
  for (const at of [text, '"checkpoint":{', '"key":{']) {
    const added = at === text ? `{"note":"hi",${text.slice(1)}` : text.replace(at, `${at}"note":"hi",`);
    const { code, out } = await check(added);
    expect([code, out]).toEqual([1, expect.stringContaining("forged: `note` is no part of a receipt")]);
  }
  const twice = await check(`{"entry":{"id":"other"},${text.slice(1)}`);
  expect([twice.code, twice.out]).toEqual([
    1,
    expect.stringContaining("forged: something stands in it twice"),
  ]);
  const { checkpoint } = JSON.parse(text) as { readonly checkpoint: { readonly head: string } };
  expect((await check(text.replaceAll(checkpoint.head, `${checkpoint.head}zz`))).code).toBe(1);
  const { signature: _, ...part } = JSON.parse(text) as Record<string, unknown>;
  const cut = await check(JSON.stringify(part));
  expect([cut.code, cut.out]).toEqual([1, expect.stringMatching(/^no whole receipt: /)]);
});

test("W: a chain is held against a receipt that was kept: the same, another's, one that is not genuine, and what is none", async () => {
  for (const id of ["a", "b", "c"]) receipts.add(id);
  const kept = await written("b.json", (await hearth(["runs", "show", "b", "--receipt"])).out);
  const file = await written("chain.ndjson", await exported());
  const against = async (receipt: string, chain = file): Promise<Ran> =>
    await hearth(["verify", chain, "--receipt", receipt]);
  expect((await against(kept)).code).toBe(0);
  expect((await against(kept, kept)).code).toBe(2);
  // Whoever has the key writes the chain anew, with another entry in the place of this one.
  receipts.entries.splice(1, 1);
  receipts.entries.splice(1, 0, { ...receipts.add("x"), seq: 2 });
  receipts.entries.splice(3);
  const anew = await written("anew.ndjson", await exported());
  expect((await hearth(["verify", anew])).code).toBe(0);
  const other = await against(kept, anew);
  expect([other.code, other.out]).toEqual([
    1,
    expect.stringContaining("entry 2 is not what the receipt of run b says"),
  ]);
  receipts.entries.splice(1);
  const short = await against(kept, await written("short.ndjson", await exported()));
  expect([short.code, short.out]).toEqual([
    1,
    expect.stringContaining("entry 2, of which there is a receipt, is not in it"),
  ]);
  const forged = (await readFile(join(folder, kept), "utf8")).replaceAll('"bytesIn":2', '"bytesIn":1');
  const refused = await against(await written("forged.json", forged));
  expect([refused.code, refused.err]).toEqual([2, expect.stringContaining("not genuine itself")]);
  expect((await against(file)).code).toBe(2);
});

test("W: keys and hashes that cannot be what was meant are wrong use; another key is never called the one given", async () => {
  for (const id of ["a", "b"]) receipts.add(id);
  const file = await written("chain.ndjson", await exported());
  const check = async (...more: string[]): Promise<Ran> => await hearth(["verify", file, ...more]);
  expect((await check("--key", "")).code).toBe(2);
  const missing = await check("--key", "no-such-file");
  expect([missing.code, missing.err]).toEqual([2, expect.stringContaining("there is no ")]);
  const unreadable = await check("--key", ".");
  expect([unreadable.code, unreadable.err]).toEqual([2, expect.stringContaining("EISDIR")]);
  expect((await check("--must-hold", "0".repeat(64))).code).toBe(2);
  const { head } = JSON.parse((await check("--json")).out) as ChainReport;
  expect((await check("--must-hold", head.toUpperCase())).code).toBe(0);
  const { publicKey } = await new MemoryReceipts().key();
  const other = await check("--key", publicKey);
  expect([other.code, other.out]).toEqual([1, expect.stringContaining(`not the one given: ${publicKey}`)]);
  expect(other.out).not.toContain("as given");
  expect((JSON.parse((await check("--key", publicKey, "--json")).out) as ChainReport).isPinned).toBe(false);
  expect((await hearth(["receipts", "export", "--from", "5", "--to", "2"])).code).toBe(2);
});

test("W: an export that was cut within a line is said to be cut off in that line, and not to be a part", async () => {
  for (const id of ["a", "b", "c"]) receipts.add(id);
  const chain = (await exported()).trimEnd();
  const ends = [
    1,
    20,
    ...[...chain.matchAll(/\n/g)].flatMap(({ index }) => [index - 1, index + 2, index + 40]),
  ];
  for (const at of [...ends, chain.length - 1]) {
    const text = chain.slice(0, at);
    const line = text.split("\n").length;
    const { code, out } = await hearth(["verify", "-"], Buffer.from(text));
    expect([code, out]).toEqual([
      1,
      expect.stringMatching(new RegExp(`^broken at line ${line}(, entry \\d+)?: this line is cut off$`, "m")),
    ]);
    expect(out).toContain("the signed end is missing");
    expect(out).not.toContain("a part:");
    if (line > 2) expect(out).toMatch(/^covers +what is here: without the signed end /m);
  }
  const cut = await hearth(["verify", "-", "--json"], Buffer.from(chain.slice(0, -1)));
  expect(JSON.parse(cut.out)).toMatchObject({ isWhole: false, isComplete: false, hasEnd: false });
  const changed = await hearth(["verify", "-"], Buffer.from(chain.replace(/"newest":3/, '"newest":x')));
  expect(changed.out).toContain("this line is not as the daemon writes it");
  expect(changed.out).not.toContain("this line is cut off");
});

test("W: an export that was cut within a character is said to be cut off; a byte changed into no text, or added, is no cut", async () => {
  receipts.add("a", { image: "b\u00fccher/\u{1F600}:1" });
  const chain = Buffer.from(await exported());
  const letter = chain.lastIndexOf(0xc3);
  const smile = chain.lastIndexOf(0xf0);
  for (const at of [letter, smile, smile + 1, smile + 2]) {
    const { code, out } = await hearth(["verify", "-"], chain.subarray(0, at + 1));
    expect(code).toBe(1);
    expect(out).toMatch(/^broken at line 3, entry 2: this line is cut off$/m);
    expect(out).toContain("the signed end is missing");
  }
  const spoilt = Buffer.from(chain.subarray(0, smile));
  spoilt[letter + 1] = 0xff;
  const whole = chain.subarray(0, chain.lastIndexOf(0x0a));
  for (const text of [
    spoilt,
    Buffer.concat([whole, Buffer.of(0xc3)]),
    Buffer.concat([chain, Buffer.of(0xc3)]),
  ]) {
    const { code, out } = await hearth(["verify", "-"], text);
    expect(code).toBe(1);
    expect(out).toMatch(/: this line (is not as the daemon writes it|stands after the end)$/m);
    expect(out).not.toContain("this line is cut off");
  }
});

test.each([
  "",
  "\n",
  "{}",
  "nonsense\nand more of it\n",
  '{"entry":1}',
  '{"chain":"food","shops":[]}',
  '{\n  "name": "hearth"\n}\n',
  "[]",
  "\0",
  "\x89PNG\r\n\x1a\n\0\0\0\rIHDR",
])("a file without any receipts is wrong use, told in one line that names it (%j)", async (text) => {
  const file = await written("other.txt", Buffer.from(text, "latin1"));
  const expected = "expected what `receipts export` or `runs show --receipt` printed";
  expect(await hearth(["verify", file])).toEqual({
    code: 2,
    out: "",
    err: `hearth: other.txt holds neither a chain of receipts nor a whole receipt: ${expected}`,
  });
  const piped = await hearth(["verify", "-", "--json"], Buffer.from(text, "latin1"));
  expect([piped.code, piped.err]).toEqual([
    2,
    `hearth: standard input holds neither a chain of receipts nor a whole receipt: ${expected}`,
  ]);
});

test("a file that is not there is said to be missing", async () => {
  const { code, err } = await hearth(["verify", "nowhere.ndjson"]);
  expect([code, err]).toEqual([1, expect.stringContaining("ENOENT")]);
});
