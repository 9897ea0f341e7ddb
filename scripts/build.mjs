#!/usr/bin/env node
/**
 * Builds what is shipped: `dist/hearth.mjs` (daemon and CLI, with `part-*.mjs` beside it), `dist/gpu-reader.mjs` (a program that
 * the daemon starts), `dist/receipt-writer.mjs` (a thread of the daemon), `dist/client.mjs` (the typed client), the client's declarations, and the dashboard (`dist/dashboard`). Needs no install script to have run.
 *
 * `dist/.stamp` carries the time at which the build began: sources newer than it mean that a build is due.
 *
 * Flags: `--no-types` leaves the declarations out (the start script wants none), `--analyze` prints what the bundle holds.
 */
import { spawnSync } from "node:child_process";
import {
  existsSync,
  mkdirSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { basename, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { analyzeMetafile, build } from "esbuild";
import { buildDashboard } from "./build/dashboard.mjs";
import { slimDependencies } from "./build/slim-dependencies.mjs";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const dist = join(root, "dist");
const flags = new Set(process.argv.slice(2));
const STALE_CHUNK_MS = 7 * 24 * 3600 * 1000;

/** CommonJS dependencies ask for these three, and an ES module has none of them. */
const COMMONJS_NAMES = [
  'import{createRequire as __hearthRequire}from"node:module";',
  'import{fileURLToPath as __hearthPath}from"node:url";',
  'import{dirname as __hearthDirname}from"node:path";',
  "const require=__hearthRequire(import.meta.url),__filename=__hearthPath(import.meta.url),__dirname=__hearthDirname(__filename);",
].join("");

const startedAt = new Date();
if (spawnSync(process.execPath, [join(root, "scripts/generate.mjs")], { stdio: "inherit" }).status !== 0)
  process.exit(1);
mkdirSync(dist, { recursive: true });
const daemon = await bundle("src/main.ts", "hearth", {
  platform: "node",
  target: "node20",
  splitting: true,
  // The first two hold machine code that cannot be bundled; koffi and Google's library are optional at run time.
  external: ["koffi", "libsql", "@google-cloud/storage"],
  banner: { js: COMMONJS_NAMES },
  plugins: [slimDependencies],
});
await bundle("src/drivers/gpu/reader/main.ts", "gpu-reader", {
  platform: "node",
  target: "node20",
  splitting: false,
  external: ["koffi"],
});
await bundle("src/drivers/records/chain/thread/main.ts", "receipt-writer", {
  platform: "node",
  target: "node20",
  splitting: false,
  external: ["libsql"],
});
if (existsSync(join(root, "src/client/index.ts"))) {
  await bundle("src/client/index.ts", "client", { platform: "neutral", target: "es2022", splitting: false });
  if (!flags.has("--no-types")) declareClient();
}
const page = await buildDashboard(root);
removeStaleChunks(daemon);
writeFileSync(join(dist, ".stamp"), `${startedAt.toISOString()}\n`);
utimesSync(join(dist, ".stamp"), startedAt, startedAt);
if (flags.has("--analyze")) process.stdout.write(await analyzeMetafile(daemon.metafile));
const size = Object.values(daemon.metafile.outputs).reduce((sum, output) => sum + output.bytes, 0);
console.error(
  `built dist/hearth.mjs (${(size / 1e6).toFixed(1)} MB) and the dashboard (${(page.bytes / 1000).toFixed(1)} kB) in ${Date.now() - startedAt.getTime()} ms`,
);

/** Bundles one entry; chunks are written before the entry that names them, which appears by rename. */
async function bundle(entry, name, options) {
  const result = await build({
    absWorkingDir: root,
    entryPoints: { [name]: entry },
    outdir: dist,
    outExtension: { ".js": ".mjs" },
    // Beside the entry, so that what the sources find relative to themselves is found from every chunk.
    chunkNames: "part-[name]-[hash]",
    bundle: true,
    format: "esm",
    minifyWhitespace: true,
    minifySyntax: true,
    // Names stay as they are: they are what a stack trace in the log can say.
    minifyIdentifiers: false,
    legalComments: "none",
    metafile: true,
    write: false,
    logLevel: "warning",
    ...options,
  }).catch(() => {
    // esbuild has printed what is wrong, with its place.
    process.exit(1);
  });
  const isEntry = (file) => basename(file.path) === `${name}.mjs`;
  for (const file of [...result.outputFiles].sort((a, b) => Number(isEntry(a)) - Number(isEntry(b)))) {
    mkdirSync(dirname(file.path), { recursive: true });
    // A program is started by its name; the line is a comment to whoever imports the file.
    const head = isEntry(file) && options.platform === "node" ? "#!/usr/bin/env node\n" : "";
    const half = `${file.path}.${process.pid}`;
    writeFileSync(half, head + file.text, { mode: head === "" ? 0o644 : 0o755 });
    renameSync(half, file.path);
  }
  return result;
}

/** A daemon that still runs may load a chunk of the build it started from, so old ones stay for a week. */
function removeStaleChunks(result) {
  const wanted = new Set(result.outputFiles.map((file) => basename(file.path)));
  for (const name of readdirSync(dist)) {
    const path = join(dist, name);
    const isOld = name.startsWith("part-") && Date.now() - statSync(path).mtimeMs > STALE_CHUNK_MS;
    if (isOld && !wanted.has(name)) rmSync(path);
  }
}

/** Types are checked by `npm run types`; here they are only written. */
function declareClient() {
  const tsc = join(root, "node_modules/typescript/lib/tsc.js");
  const run = spawnSync(process.execPath, [tsc, "-p", join(root, "scripts/build/client-types.json")], {
    cwd: root,
    stdio: ["ignore", "inherit", "inherit"],
  });
  if (run.status !== 0) {
    console.error("the client's declarations could not be written");
    process.exit(1);
  }
}
