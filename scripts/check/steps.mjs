import { existsSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { filesUnder } from "./files-under.mjs";
import { needsEngine } from "./needs-engine.mjs";

export const root = fileURLToPath(new URL("../..", import.meta.url));

const node = process.execPath;
const bin = (path) => [node, join(root, "node_modules", path)];
const MINUTE_MS = 60_000;

/** Everything that is looked at without running the product, then the product, in the order in which a mistake is cheapest. */
export const STEPS = [
  command("generate", [node, "scripts/generate.mjs"]),
  command("format", [...bin("@biomejs/biome/bin/biome"), "check", "--linter-enabled=false", "."]),
  command("types", [...bin("typescript/lib/tsc.js"), "-b"], { minutes: 10 }),
  command("lint", [...bin("eslint/bin/eslint.js"), "--max-warnings=0", "."], { minutes: 10 }),
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
  suite("unit", ["src/", "web/", "test/docs/", "test/checks/", "test/support/"].flatMap(testsUnder), {
    isParallel: true,
    minutes: 10,
  }),
  suite("conformance", testsUnder("test").filter(isConformance), { minutes: 15 }),
  suite(
    "integration",
    testsUnder("test/integration").filter((file) => !isConformance(file)),
    { minutes: 30 },
  ),
  // They overload the machine on purpose: nothing runs beside them.
  suite("faults", testsUnder("test/faults"), { isAlone: true, minutes: 35 }),
  suite("e2e", testsUnder("test/e2e"), { minutes: 35 }),
  command("package", [node, "scripts/check/package.mjs"]),
];

function command(name, argv, { needs, onlyWith, minutes = 5 } = {}) {
  return { name, argv, needs, onlyWith, timeoutMs: minutes * MINUTE_MS };
}

/**
 * Tests that start an engine run one file at a time: two engines on two cores make each other late. Those that start none go on
 * beside them, also one at a time. Each run's report is what the closing line is counted from.
 */
function suite(name, files, { isParallel = false, isAlone = false, minutes }) {
  const lanes =
    isParallel || isAlone
      ? [vitest(name, files, isAlone ? ["--no-file-parallelism"] : [])]
      : [
          vitest(
            `${name}-engine`,
            files.filter((file) => needsEngine(file)),
            ["--no-file-parallelism"],
            { TEST_LANE: "engine" },
          ),
          vitest(
            name,
            files.filter((file) => !needsEngine(file)),
            ["--no-file-parallelism"],
          ),
        ].filter((lane) => lane.files.length > 0);
  // Tests of a whole machine's parts have its chances; a unit comes out the same each time.
  return { name, lanes, timeoutMs: minutes * MINUTE_MS, isUnsteady: !isParallel };
}

/** Some files of a suite once more, one at a time. */
export function laneAgain({ name }, files) {
  return vitest(
    `${name}-again`,
    files.map((file) => join(root, file)),
    ["--no-file-parallelism"],
  );
}

function vitest(name, files, flags, env = {}) {
  const report = join(root, "out/reports", `${name}.json`);
  const argv = [
    ...bin("vitest/vitest.mjs"),
    "run",
    ...files,
    "--reporter=default",
    `--reporter=${join(root, "scripts/check/count-reporter.mjs")}`,
    ...flags,
  ];
  return { name, files, argv, report, env: { ...env, HEARTH_TEST_REPORT: report } };
}

function testsUnder(folder) {
  return filesUnder(join(root, folder), /\.test\.ts$/);
}

function isConformance(file) {
  return file.endsWith("conformance.test.ts");
}

function shellScripts() {
  const start = ["hearth", ".ci/run"].filter((path) => existsSync(join(root, path)));
  return [
    ...start,
    ...["scripts", "docker", "deploy"].flatMap((folder) => filesUnder(join(root, folder), /\.sh$/)),
  ];
}
