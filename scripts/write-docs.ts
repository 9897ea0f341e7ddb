/**
 * Writes the documents that the code is the source of. `npm run docs` writes them; `npm run docs -- --check` only compares, and
 * ends with 1 where a committed file differs.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { writeCliDoc } from "../src/cli/index.ts";
import { writeConfigurationDoc, writeSampleFile } from "../src/config/index.ts";
import { writeErrorsDoc } from "../src/contract/errors-doc.ts";
import { describeApi } from "../src/contract/v1/openapi.ts";
import { writeMetricsDoc } from "../src/telemetry/metrics/index.ts";

/** By path from the root. */
export const DOCUMENTS: Readonly<Record<string, () => string>> = {
  "docs/configuration.md": writeConfigurationDoc,
  "docs/errors.md": writeErrorsDoc,
  "docs/cli.md": writeCliDoc,
  "docs/metrics.md": writeMetricsDoc,
  "docs/openapi.json": () => `${JSON.stringify(describeApi(packageVersion()), undefined, 2)}\n`,
  "hearth.example.yaml": writeSampleFile,
};

/** The file as it is committed; empty where there is none. */
export function committed(path: string): string {
  try {
    return readFileSync(locate(path), "utf8");
  } catch {
    return "";
  }
}

function packageVersion(): string {
  const { version } = JSON.parse(committed("package.json")) as { readonly version: string };
  return version;
}

function locate(path: string): string {
  return fileURLToPath(new URL(`../${path}`, import.meta.url));
}

function main(isCheck: boolean): void {
  const stale = Object.entries(DOCUMENTS).filter(([path, write]) => committed(path) !== write());
  for (const [path, write] of stale) {
    if (!isCheck) writeFileSync(locate(path), write());
    console.error(isCheck ? `${path} does not match the code; run npm run docs` : `wrote ${path}`);
  }
  if (isCheck && stale.length > 0) process.exitCode = 1;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) main(process.argv.includes("--check"));
