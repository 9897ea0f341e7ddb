import { execFile } from "node:child_process";
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, expect, test } from "vitest";

const SCRIPT = fileURLToPath(new URL("../../hearth", import.meta.url));
/** What the script needs besides Node and npm. */
const TOOLS = ["sh", "cat", "cksum", "find", "head", "mkdir", "readlink", "uname"];

/** Builds what prints its arguments, and leaves the stamp as the real build does. */
const BUILD = `
import { mkdirSync, writeFileSync } from "node:fs";
mkdirSync("dist", { recursive: true });
writeFileSync("dist/hearth.mjs", "console.log(JSON.stringify(process.argv.slice(2))); process.exitCode = 7;");
writeFileSync("dist/.stamp", "");
`;
const NPM = `#!/bin/sh
echo "$@" >>npm-calls
mkdir -p node_modules
`;

let folder: string;
let project: string;
let bin: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "hearth-start-"));
  // A space in the path, as people have them.
  project = join(folder, "my hearth");
  bin = join(folder, "bin");
  for (const path of [bin, join(project, "src"), join(project, "scripts/build")])
    mkdirSync(path, { recursive: true });
  copyFileSync(SCRIPT, join(project, "hearth"));
  chmodSync(join(project, "hearth"), 0o755);
  writeFileSync(join(project, "package-lock.json"), "{}");
  writeFileSync(join(project, "src/main.ts"), "");
  writeFileSync(join(project, "scripts/build.mjs"), BUILD);
  writeFileSync(join(bin, "npm"), NPM, { mode: 0o755 });
  symlinkSync(process.execPath, join(bin, "node"));
  for (const tool of TOOLS) {
    const found = ["/usr/bin", "/bin"].map((place) => join(place, tool)).find((path) => existsSync(path));
    if (found !== undefined) symlinkSync(found, join(bin, tool));
  }
  // Older than any build of this test.
  for (const path of ["src", "src/main.ts", "scripts/build", "scripts/build.mjs", "package-lock.json"]) {
    utimesSync(join(project, path), 1, 1);
  }
});
afterEach(() => rmSync(folder, { recursive: true }));

interface Ran {
  readonly code: number | string | undefined;
  readonly out: string;
  readonly err: string;
}

function start(args: string[], more: { script?: string; env?: Record<string, string> } = {}): Promise<Ran> {
  const env = { PATH: bin, ...more.env };
  return new Promise((resolve) => {
    execFile(more.script ?? join(project, "hearth"), args, { cwd: tmpdir(), env }, (error, out, err) => {
      resolve({ code: error === null ? 0 : (error.code ?? undefined), out, err });
    });
  });
}

function npmCalls(): string[] {
  const path = join(project, "npm-calls");
  return existsSync(path) ? readFileSync(path, "utf8").trim().split("\n") : [];
}

test("the first start installs and builds, and hands arguments and exit code through", async () => {
  const ran = await start(["call", "a b", "$x", ""]);
  expect(ran).toMatchObject({ code: 7, out: '["call","a b","$x",""]\n' });
  expect(ran.err).toBe("hearth: installing dependencies (once)\nhearth: building\n");
  expect(npmCalls()).toEqual(["ci --ignore-scripts --no-audit --no-fund --loglevel=error"]);
});

test("the second start says nothing and does nothing, also through links", async () => {
  await start([]);
  symlinkSync(join(project, "hearth"), join(folder, "one"));
  symlinkSync("one", join(folder, "two"));
  for (const script of [join(project, "hearth"), join(folder, "two")]) {
    expect(await start(["ps"], { script })).toEqual({ code: 7, out: '["ps"]\n', err: "" });
  }
  expect(npmCalls()).toHaveLength(1);
});

test("a changed source is built, a changed lock file installed", async () => {
  await start([]);
  const later = Date.now() / 1000 + 60;
  utimesSync(join(project, "src/main.ts"), later, later);
  expect((await start([])).err).toBe("hearth: building\n");
  utimesSync(join(project, "src/main.ts"), 1, 1);
  writeFileSync(join(project, "package-lock.json"), '{"other": 1}');
  utimesSync(join(project, "package-lock.json"), 1, 1);
  expect((await start([])).err).toBe("hearth: installing dependencies (once)\n");
  expect((await start([])).err).toBe("");
});

test("packages behind a link are somebody else's: npm, which would empty their folder, is not run", async () => {
  const theirs = join(folder, "theirs");
  mkdirSync(theirs);
  symlinkSync(theirs, join(project, "node_modules"));
  const { code, err } = await start(["a"]);
  expect([code, err]).toEqual([1, expect.stringContaining("node_modules is a link")]);
  expect(existsSync(join(project, "npm-calls"))).toBe(false);
});

test("without a Node that is new enough it says what is needed, and ends with 127", async () => {
  rmSync(join(bin, "node"));
  expect(await start([])).toMatchObject({
    code: 127,
    out: "",
    err: expect.stringContaining("Node 20.19 or newer"),
  });
  writeFileSync(join(bin, "node"), "#!/bin/sh\nexit 1\n", { mode: 0o755 });
  expect(await start([])).toMatchObject({ code: 127 });
  mkdirSync(join(folder, "elsewhere"));
  symlinkSync(process.execPath, join(folder, "elsewhere/node"));
  const env = { HEARTH_NODE: join(folder, "elsewhere/node") };
  expect(await start([], { env })).toMatchObject({ code: 7 });
});

test("a failed build or install ends the start and is tried again", async () => {
  writeFileSync(join(project, "scripts/build.mjs"), "process.exit(1)");
  expect(await start([])).toMatchObject({
    code: 1,
    out: "",
    err: expect.stringContaining("the build failed"),
  });
  writeFileSync(join(project, "scripts/build.mjs"), BUILD);
  writeFileSync(join(bin, "npm"), "#!/bin/sh\nexit 1\n");
  rmSync(join(project, "node_modules"), { recursive: true });
  expect(await start([])).toMatchObject({ code: 1, err: expect.stringContaining("npm ci failed") });
  writeFileSync(join(bin, "npm"), NPM);
  expect(await start([])).toMatchObject({ code: 7 });
});

test("a start from its own folder by its bare name works", async () => {
  await start([]);
  const ran = await start(["-c", 'cd "$1" && sh hearth ok', "-", dirname(join(project, "hearth"))], {
    script: join(bin, "sh"),
  });
  expect(ran).toEqual({ code: 7, out: '["ok"]\n', err: "" });
});
