import { existsSync, readFileSync } from "node:fs";

const LONGEST_FAILURE = 2000;

/**
 * Reads what `count-reporter.mjs` wrote about one run. A report that is missing counts as one failure, so that nothing
 * fails without being counted.
 *
 * @returns {{ passed: number, failed: number, skipped: string[], failures: string[] }} titles with the file they stand in.
 */
export function readVitestReport(path) {
  if (!existsSync(path))
    return { passed: 0, failed: 1, skipped: [], failures: ["the run ended without a report"] };
  const entries = JSON.parse(readFileSync(path, "utf8"));
  const inState = (state) => entries.filter((entry) => entry.state === state);
  const failed = entries.filter(({ state }) => state !== "passed" && state !== "skipped");
  return {
    passed: inState("passed").length,
    failed: failed.length,
    skipped: inState("skipped").map(({ title, note }) => (note === undefined ? title : `${title}: ${note}`)),
    failures: failed.map(({ title, error = "" }) => `${title}\n${indent(error.slice(0, LONGEST_FAILURE))}`),
  };
}

function indent(text) {
  return text.replace(/^/gm, "    ");
}
