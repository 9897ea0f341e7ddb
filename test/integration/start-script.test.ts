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
/** What `npm test` and `npm run demo` begin with. */
const PACKAGES = fileURLToPath(new URL("../../scripts/node-and-packages.sh", import.meta.url));
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

/** Whether each of both scripts takes what is installed for what the lock file names; no npm changes it. */
async function judged(): Promise<{ start: boolean; test: boolean }> {
  writeFileSync(join(bin, "npm"), '#!/bin/sh\necho "$@" >>npm-calls\nexit 1\n');
  const started = await start([]);
  const words = ["-c", 'cd "$1" && set -eu && . "$2"', "-", project, PACKAGES];
  const tested = await start(words, { script: join(bin, "sh") });
  return { start: started.code === 7, test: tested.code === 0 };
}

/** As npm leaves it: after the lock file by which it installed. */
function installedAt(root: string, seconds: number): void {
  mkdirSync(join(root, "node_modules"), { recursive: true });
  const hidden = join(root, "node_modules/.package-lock.json");
  writeFileSync(hidden, "{}");
  utimesSync(hidden, seconds, seconds);
}

test("packages that somebody installed by hand are taken, until the lock file is newer", async () => {
  installedAt(project, 5);
  expect(await judged()).toEqual({ start: true, test: true });
  expect(npmCalls()).toEqual([]);
  utimesSync(join(project, "package-lock.json"), 9, 9);
  expect(await judged()).toEqual({ start: false, test: false });
  expect(npmCalls()).toHaveLength(2);
});

test("packages that we installed by another lock file are not taken, however old this one says it is", async () => {
  installedAt(project, 5);
  const stamp = join(project, "node_modules/.stamp");
  writeFileSync(stamp, "1 1");
  utimesSync(stamp, 6, 6);
  expect(await judged()).toEqual({ start: false, test: false });
  // An npm has run since.
  installedAt(project, 7);
  expect(await judged()).toEqual({ start: true, test: true });
});

test("packages behind a link are taken where the lock file beside them is this one, and was installed by", async () => {
  const theirs = join(folder, "their checkout");
  installedAt(theirs, 5);
  symlinkSync(join(theirs, "node_modules"), join(project, "node_modules"));
  // A fresh working tree: newer than what it links to.
  utimesSync(join(project, "package-lock.json"), 9, 9);
  const lock = join(theirs, "package-lock.json");
  const beside = (text: string, seconds: number): void => {
    writeFileSync(lock, text);
    utimesSync(lock, seconds, seconds);
  };
  beside("{}", 4);
  expect(await judged()).toEqual({ start: true, test: true });
  beside('{"other": 1}', 4);
  expect(await judged()).toEqual({ start: false, test: false });
  beside("{}", 6);
  expect(await judged()).toEqual({ start: false, test: false });
  // Nothing beside them: only the time tells.
  rmSync(lock);
  expect(await judged()).toEqual({ start: false, test: false });
  utimesSync(join(project, "package-lock.json"), 1, 1);
  expect(await judged()).toEqual({ start: true, test: true });
  expect(npmCalls()).toEqual([]);
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
