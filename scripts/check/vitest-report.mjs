import { existsSync, readFileSync } from "node:fs";

const LONGEST_FAILURE = 2000;
const NO_REPORT = { title: "the run ended without a report", state: "failed" };

/**
 * Reads what `count-reporter.mjs` wrote about one run. A report that is missing counts as one failure, so that nothing
 * fails without being counted.
 *
 * @returns {{ file?: string, title: string, state: string, note?: string, error?: string }[]} one for each test, and for each
 *   failure that is no test's; without a file where none is to blame.
 */
export function readVitestReport(path) {
  return existsSync(path) ? JSON.parse(readFileSync(path, "utf8")) : [NO_REPORT];
}

/** @returns {{ passed: number, failed: number, skipped: string[], failures: string[] }} titles with the file they stand in. */
export function countEntries(entries) {
  const inState = (state) => entries.filter((entry) => entry.state === state);
  const failed = failedAmong(entries);
  return {
    passed: inState("passed").length,
    failed: failed.length,
    skipped: inState("skipped").map(({ title, note }) => (note === undefined ? title : `${title}: ${note}`)),
    failures: failed.map(tellFailure),
  };
}

export function failedAmong(entries) {
  return entries.filter(({ state }) => state !== "passed" && state !== "skipped");
}

/** Its title, and the first of what it said. */
export function tellFailure({ title, error = "" }) {
  return `${title}\n${indent(error.slice(0, LONGEST_FAILURE))}`;
}

function indent(text) {
  return text.replace(/^/gm, "    ");
}
