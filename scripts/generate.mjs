#!/usr/bin/env node
/**
 * Writes `src/gen` from `proto/`: the code and types of the messages that other programs' protocols are made of. Called by the
 * build, by `npm run types` and by the checks; does nothing when what is there is newer than its sources.
 */
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, statSync, writeFileSync } from "node:fs";
import { delimiter, join } from "node:path";
import { fileURLToPath } from "node:url";
import { filesUnder } from "./check/files-under.mjs";

const root = fileURLToPath(new URL("..", import.meta.url));
const target = join(root, "src/gen");
/** Beside the folder, which the generator empties first. */
const stamp = join(root, "out/gen.stamp");
const sources = [
  ...filesUnder(join(root, "proto"), /\.(proto|yaml)$/),
  join(root, "package-lock.json"),
  fileURLToPath(import.meta.url),
];

if (isDue()) generate();

function isDue() {
  if (!existsSync(stamp) || !existsSync(target)) return true;
  const writtenAtMs = statSync(stamp).mtimeMs;
  return sources.some((path) => statSync(path).mtimeMs > writtenAtMs);
}

function generate() {
  const bin = join(root, "node_modules/.bin");
  const buf = spawnSync(
    join(bin, "buf"),
    ["generate", "proto", "--template", "proto/buf.gen.yaml", "--output", "."],
    {
      cwd: root,
      stdio: ["ignore", "inherit", "inherit"],
      env: { ...process.env, PATH: `${bin}${delimiter}${process.env.PATH ?? ""}` },
    },
  );
  if (buf.status !== 0) {
    console.error(`generating src/gen failed${buf.error === undefined ? "" : `: ${buf.error.message}`}`);
    process.exit(1);
  }
  mkdirSync(join(root, "out"), { recursive: true });
  writeFileSync(stamp, `${new Date().toISOString()}\n`);
}
