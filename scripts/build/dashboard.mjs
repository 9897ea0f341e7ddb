import { mkdirSync, readdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { build } from "vite";

/**
 * Builds the dashboard's page into `dist/dashboard`, each file with its compressed twin (`.gz`) beside it. Nothing of it comes
 * from elsewhere: the page's own policy forbids that.
 *
 * @returns the size of all files as they travel, in bytes.
 */
export async function buildDashboard(root) {
  const target = join(root, "dist/dashboard");
  const half = `${target}.${process.pid}`;
  const made = await build({
    root: join(root, "web"),
    configFile: false,
    logLevel: "warn",
    base: "./",
    publicDir: false,
    oxc: { jsx: { runtime: "automatic", importSource: "preact" } },
    build: {
      outDir: half,
      emptyOutDir: true,
      target: "es2022",
      modulePreload: false,
      // An address that begins with `data:` is not on the page's list of sources.
      assetsInlineLimit: 0,
      write: false,
    },
  });
  rmSync(half, { recursive: true, force: true });
  mkdirSync(join(half, "assets"), { recursive: true });
  let bytes = 0;
  for (const { fileName, type, code, source } of made.output) {
    const text = Buffer.from(type === "chunk" ? code : source);
    const zipped = gzipSync(text, { level: 9 });
    bytes += zipped.length;
    writeFileSync(join(half, fileName), text);
    writeFileSync(join(half, `${fileName}.gz`), zipped);
  }
  rmSync(target, { recursive: true, force: true });
  renameSync(half, target);
  return { bytes, files: readdirSync(target).length };
}
