import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { TABLE } from "../../src/config/index.ts";
import { LOG_EVENTS } from "../../src/core/index.ts";

const root = fileURLToPath(new URL("../..", import.meta.url));
const known = new Set(TABLE.rows.flatMap(({ env }) => (env === undefined ? [] : [env])));

/** Variables that are no settings of the daemon: of the command line, the start script, the image, the tests and jobs. */
const OTHERS = new Set([
  "HEARTH_API_URL",
  "HEARTH_ATTEMPT",
  "HEARTH_CONFIG",
  "HEARTH_HOST",
  "HEARTH_IN_CONTAINER",
  "HEARTH_JOB_ID",
  "HEARTH_MAY_SKIP",
  "HEARTH_NODE",
  "HEARTH_SANDBOX",
  "HEARTH_TEST_SLACK",
  "HEARTH_TOKEN",
  "HEARTH_TOKEN_FILE",
]);

const files = [
  ...["", "docs", "docs/adr"].flatMap((folder) =>
    readdirSync(join(root, folder))
      .filter((name) => name.endsWith(".md"))
      .map((name) => join(folder, name)),
  ),
  "docker/Dockerfile",
  "docker-compose.yml",
  "deploy/systemd/hearth.service",
  "scripts/demo.mjs",
];

test.each(files)("every variable that %s names is there", (file) => {
  const named = readFileSync(join(root, file), "utf8").match(/\bHEARTH_[A-Z][A-Z0-9_]*[A-Z0-9]\b/g) ?? [];
  expect(named.filter((name) => !known.has(name) && !OTHERS.has(name))).toEqual([]);
});

const keys = new Set(TABLE.rows.map(({ key }) => key));
const sections = new Set(TABLE.sections.map(({ key }) => key));
/** Looks like a setting, and is Debian's package, a file of the state folder, or an event of the log. */
const NO_SETTINGS = new Set<string>(["docker.io", "receipts.db", "receipts.key", ...Object.keys(LOG_EVENTS)]);

test.each(files.filter((file) => file.endsWith(".md")))("every setting that %s names is there", (file) => {
  const text = readFileSync(join(root, file), "utf8");
  const dotted = [...text.matchAll(/`([a-z]+)\.([a-z_]+)(?:: [^`]*)?`/g)]
    .filter(([, section]) => sections.has(section ?? ""))
    .map(([, section, name]) => `${section}.${name}`);
  expect(dotted.filter((key) => !keys.has(key) && !sections.has(key) && !NO_SETTINGS.has(key))).toEqual([]);
});
