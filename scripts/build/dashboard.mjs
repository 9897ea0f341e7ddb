import { mkdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { build } from "vite";

/**
 * Builds the dashboard's page into `dist/dashboard`: one file that holds all of it, with its compressed twin (`.gz`) beside it.
 * Whoever has the page has its script and its style too: none of them can be missed.
 *
 * @returns its size as it travels, in bytes.
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
      write: false,
    },
  });
  const text = Buffer.from(inOneFile(made.output));
  const zipped = gzipSync(text, { level: 9 });
  rmSync(half, { recursive: true, force: true });
  mkdirSync(half, { recursive: true });
  writeFileSync(join(half, "index.html"), text);
  writeFileSync(join(half, "index.html.gz"), zipped);
  rmSync(target, { recursive: true, force: true });
  renameSync(half, target);
  return { bytes: zipped.length };
}

/** The page with what it refers to in the place of the reference; anything that is left over is an error. */
function inOneFile(output) {
  const files = new Map(
    output.map(({ fileName, code, source }) => [fileName, code ?? Buffer.from(source).toString()]),
  );
  const take = (name) => {
    const text = files.get(name);
    if (text === undefined) throw new Error(`the page refers to ${name}, which was not built`);
    files.delete(name);
    return text;
  };
  const page = take("index.html")
    .replace(
      /<script type="module"[^>]* src="\.\/([^"]+)"><\/script>/g,
      (_, name) => `<script type="module">${asInlineScript(take(name))}</script>`,
    )
    .replace(
      /<link rel="stylesheet"[^>]* href="\.\/([^"]+)">/g,
      (_, name) => `<style>${take(name).trim()}</style>`,
    )
    .replace(/href="\.\/([^"]+\.svg)"/g, (_, name) => `href="${asAddress(take(name))}"`);
  if (files.size > 0) throw new Error(`the page does not hold ${[...files.keys()].join(", ")}`);
  // Its policy is made of the one script and the one style that stand between these.
  for (const mark of ["<script", "</script", "<style", "</style"])
    if (page.split(mark).length !== 2) throw new Error(`the page must hold ${mark} once`);
  return page;
}

/** In a page's script these mean something to the reader of the page; within a string or an expression the same can be written so. */
function asInlineScript(code) {
  if (/<!--/.test(code)) throw new Error("the page's script holds the beginning of a comment");
  return code.trim().replaceAll(/<\/(script)/gi, "<\\/$1");
}

function asAddress(svg) {
  return `data:image/svg+xml;base64,${Buffer.from(svg).toString("base64")}`;
}
