#!/usr/bin/env node
/**
 * Lays out what a machine needs to run the daemon, and nothing else: the bundle, the samples, and the two packages with machine
 * code for this platform. The container image is made of it; `dist` must be built.
 *
 * Usage: stage-image.mjs FOLDER      an existing folder is replaced
 */
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const target = (process.argv[2] ?? "-").startsWith("-") ? undefined : resolve(process.argv[2]);
if (target === undefined || !existsSync(join(root, "dist/hearth.mjs"))) {
  console.error("usage: stage-image.mjs FOLDER, after npm run build");
  process.exit(2);
}

rmSync(target, { recursive: true, force: true });
mkdirSync(target, { recursive: true });
const bundle = readdirSync(join(root, "dist")).filter((name) =>
  /^(hearth|gpu-reader|receipt-writer|part-.*)\.mjs$/.test(name),
);
for (const path of [
  ...bundle.map((name) => join("dist", name)),
  "dist/dashboard",
  "examples",
  "LICENSE",
  "NOTICE",
  "CHANGELOG.md",
]) {
  if (existsSync(join(root, path))) cpSync(join(root, path), join(target, path), { recursive: true });
}
const {
  name: ourName,
  version,
  license,
  type,
} = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));
writeFileSync(
  join(target, "package.json"),
  `${JSON.stringify({ name: ourName, version, license, type }, null, 2)}\n`,
);

const packages = new Set(["libsql", "koffi"]);
for (const packageName of packages) {
  const folder = join(root, "node_modules", packageName);
  // Optional packages are those of other platforms, and koffi where it has none.
  if (!existsSync(folder)) continue;
  const facts = JSON.parse(readFileSync(join(folder, "package.json"), "utf8"));
  if (!isForThisPlatform(facts)) continue;
  cpSync(folder, join(target, "node_modules", packageName), { recursive: true });
  for (const needed of Object.keys({ ...facts.dependencies, ...facts.optionalDependencies }))
    packages.add(needed);
}

/** npm may install the musl and the glibc build side by side; only one can be loaded here. */
function isForThisPlatform({ name, os, cpu }) {
  const isMusl = process.report.getReport().header.glibcVersionRuntime === undefined;
  const isOtherLibc = isMusl ? /-(gnu|glibc)$/.test(name) : name.endsWith("-musl");
  return !isOtherLibc && (os?.includes(process.platform) ?? true) && (cpu?.includes(process.arch) ?? true);
}
