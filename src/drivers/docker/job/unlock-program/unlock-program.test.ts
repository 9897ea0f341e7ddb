import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { UNLOCK_SOURCE_SHA256 } from "./bytes.ts";
import { unlockProgram } from "./unlock-program.ts";

const EMULATOR = "/usr/bin/qemu-aarch64-static";
const own = { x64: "amd64", arm64: "arm64" }[process.arch as string];
/** How each committed program is run on this machine; what cannot be run here is left out. */
const RUNS = [
  ...(own === undefined ? [] : [{ architecture: own, before: [] }]),
  ...(own !== "arm64" && existsSync(EMULATOR) ? [{ architecture: "arm64", before: [EMULATOR] }] : []),
] as const;

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "hearth-unlock-"));
  for (const { architecture } of RUNS)
    writeFileSync(join(folder, architecture), unlockProgram(architecture) ?? "", { mode: 0o755 });
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const modeOf = (path: string): string => (statSync(path).mode & 0o7777).toString(8);

function run({ architecture, before }: (typeof RUNS)[number], ...words: readonly string[]): number | null {
  const [program = "", ...rest] = [...before, join(folder, architecture), ...words];
  return spawnSync(program, rest).status;
}

test("the committed bytes were built from the committed source", () => {
  const source = readFileSync(new URL("unlock.c", import.meta.url));
  expect(UNLOCK_SOURCE_SHA256, "run scripts/build-program.sh").toBe(
    createHash("sha256").update(source).digest("hex"),
  );
});

test("there is none for other machines", () => {
  expect(unlockProgram("riscv64")).toBeUndefined();
  expect(unlockProgram("constructor")).toBeUndefined();
});

test.each(RUNS)("$architecture: what is below a folder is opened, and nothing beside it", (how) => {
  const [work, outside] = [join(folder, `work-${how.architecture}`), join(folder, "outside")];
  mkdirSync(join(work, "a/b"), { recursive: true });
  for (let at = 0; at < 300; at += 1) writeFileSync(join(work, "a", `${"n".repeat(100)}-${at}`), "");
  writeFileSync(join(work, "a/b/closed"), "");
  writeFileSync(join(work, "a/program"), "");
  writeFileSync(outside, "");
  symlinkSync(outside, join(work, "a/link"));
  symlinkSync("/no/such/thing", join(work, "a/broken"));
  chmodSync(join(work, "a/b/closed"), 0o000);
  chmodSync(join(work, "a/program"), 0o4711);
  chmodSync(join(work, "a/b"), 0o1500);
  chmodSync(join(work, "a"), 0o500);
  chmodSync(outside, 0o600);
  expect(run(how, work)).toBe(0);
  expect(modeOf(join(work, "a/b"))).toBe("777");
  expect(modeOf(join(work, "a/b/closed"))).toBe("666");
  expect(modeOf(join(work, "a/program"))).toBe("777");
  expect(modeOf(join(work, "a", `${"n".repeat(100)}-299`))).toBe("666");
  expect(modeOf(outside)).toBe("600");
});

test.each(RUNS)("$architecture: what it could not do shows in its exit code", (how) => {
  expect(run(how, join(folder, "none"))).toBe(1);
  expect(run(how)).toBe(2);
});
