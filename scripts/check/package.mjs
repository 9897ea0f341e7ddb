#!/usr/bin/env node
/** Looks at what `npm publish` would ship: publint's rules, the files, and whether the binary and the client load. */
import { spawnSync } from "node:child_process";
import { fileURLToPath, pathToFileURL } from "node:url";
import { publint } from "publint";
import { formatMessage } from "publint/utils";

const root = fileURLToPath(new URL("../..", import.meta.url));
const WANTED = [
  "dist/hearth.mjs",
  "dist/gpu-reader.mjs",
  "dist/receipt-writer.mjs",
  "dist/client.mjs",
  "dist/dashboard/index.html",
  "dist/dashboard/index.html.gz",
  "dist/client/index.d.ts",
  "README.md",
  "LICENSE",
  "CHANGELOG.md",
];
const problems = [];

const { messages, pkg } = await publint({ pkgDir: root, strict: true, pack: "npm" });
problems.push(...messages.map((message) => formatMessage(message, pkg)));

const packed = run("npm", ["pack", "--dry-run", "--json", "--ignore-scripts"]);
const files = packed.status === 0 ? JSON.parse(packed.stdout)[0].files.map(({ path }) => path) : [];
for (const path of WANTED) if (!files.includes(path)) problems.push(`the package lacks ${path}`);
for (const path of files)
  if (/\.test\.|(^|\/)\.env|node_modules/.test(path)) problems.push(`the package holds ${path}`);

const version = run(process.execPath, ["dist/hearth.mjs", "--version"]);
if (version.status !== 0) problems.push(`hearth --version: ${version.stderr}`);
else if (!version.stdout.includes(pkg.version))
  problems.push(`hearth --version says ${version.stdout.trim()}`);

const client = await import(pathToFileURL(`${root}dist/client.mjs`).href);
if (Object.keys(client).length === 0) problems.push("dist/client.mjs exports nothing");

for (const problem of problems) console.error(problem);
console.error(`package: ${files.length} files, ${problems.length} findings`);
process.exitCode = problems.length === 0 ? 0 : 1;

function run(file, args) {
  return spawnSync(file, args, {
    cwd: root,
    encoding: "utf8",
    timeout: 60_000,
    stdio: ["ignore", "pipe", "pipe"],
  });
}
