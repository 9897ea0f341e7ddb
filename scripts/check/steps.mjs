import { existsSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { filesUnder } from "./files-under.mjs";

export const root = fileURLToPath(new URL("../..", import.meta.url));

const node = process.execPath;
const bin = (path) => [node, join(root, "node_modules", path)];
const MINUTE_MS = 60_000;

/** Everything that is looked at without running the product, then the product, in the order in which a mistake is cheapest. */
export const STEPS = [
  command("generate", [node, "scripts/generate.mjs"]),
  command("format", [...bin("@biomejs/biome/bin/biome"), "check", "--linter-enabled=false", "."]),
  command("types", [...bin("typescript/lib/tsc.js"), "-b"]),
  command("lint", [...bin("eslint/bin/eslint.js"), "--max-warnings=0", "."]),
  command("direction", [
    ...bin("dependency-cruiser/bin/dependency-cruise.mjs"),
    "--config",
    ".dependency-cruiser.cjs",
    "src",
    "web",
  ]),
  command("dead-code", [node, "scripts/check/dead-code.mjs"]),
  command("shell", ["shellcheck", "-x", ...shellScripts()], { needs: "shellcheck" }),
  command("build", [node, "scripts/build.mjs"]),
  command("docs", [node, "--import", "tsx", "scripts/write-docs.ts", "--check"], {
    onlyWith: "scripts/write-docs.ts",
  }),
  suite("unit", ["src/", "test/docs/", "test/checks/"], { isParallel: true, minutes: 10 }),
  suite("conformance", ["conformance.test.ts"], { minutes: 15 }),
  suite("integration", ["test/integration/"], { minutes: 30, exclude: "**/*-conformance.test.ts" }),
  suite("faults", ["test/faults/"], { minutes: 30 }),
  suite("e2e", ["test/e2e/"], { minutes: 35 }),
  command("package", [node, "scripts/check/package.mjs"]),
];

function command(name, argv, { needs, onlyWith, minutes = 5 } = {}) {
  return { name, argv, needs, onlyWith, timeoutMs: minutes * MINUTE_MS };
}

/**
 * One vitest run. Suites that start an engine run one file at a time: two engines on two cores make each other late. Its
 * report is what the closing line is counted from.
 */
function suite(name, filters, { isParallel = false, minutes, exclude }) {
  const report = join(root, "out/reports", `${name}.json`);
  const argv = [
    ...bin("vitest/vitest.mjs"),
    "run",
    ...filters,
    ...(exclude === undefined ? [] : [`--exclude=${exclude}`]),
    "--passWithNoTests",
    "--reporter=default",
    `--reporter=${join(root, "scripts/check/count-reporter.mjs")}`,
    ...(isParallel ? [] : ["--no-file-parallelism"]),
  ];
  return { name, argv, report, env: { HEARTH_TEST_REPORT: report }, timeoutMs: minutes * MINUTE_MS };
}

function shellScripts() {
  const start = ["hearth", ".ci/run"].filter((path) => existsSync(join(root, path)));
  return [
    ...start,
    ...["scripts", "docker", "deploy"].flatMap((folder) => filesUnder(join(root, folder), /\.sh$/)),
  ];
}
