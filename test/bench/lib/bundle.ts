import { fileURLToPath } from "node:url";
import { build } from "esbuild";

/**
 * Bundles a program of this folder as the daemon is bundled. Running the sources through a loader instead would measure the
 * loader too: it wraps each function that is made, also those that are made for each call.
 *
 * @returns the path of the bundle.
 */
export async function bundle(name: string): Promise<string> {
  const outfile = fileURLToPath(
    new URL(`../../../out/bench/${name.replace(/\.ts$/, ".mjs")}`, import.meta.url),
  );
  await build({
    entryPoints: [fileURLToPath(new URL(name, import.meta.url))],
    outfile,
    bundle: true,
    platform: "node",
    format: "esm",
    target: "node20",
    packages: "external",
    logLevel: "error",
  });
  return outfile;
}
