import { existsSync, readFileSync } from "node:fs";

/**
 * Reads the JSON report of one vitest run. A file that could not be loaded, and a report that is missing, count as one failure
 * each, so that nothing fails without being counted.
 *
 * @returns {{ passed: number, failed: number, skipped: string[], failures: string[] }} titles with the file they stand in.
 */
export function readVitestReport(path) {
  if (!existsSync(path)) {
    return { passed: 0, failed: 1, skipped: [], failures: ["the run ended without a report"] };
  }
  const report = JSON.parse(readFileSync(path, "utf8"));
  const result = { passed: 0, failed: 0, skipped: [], failures: [] };
  for (const file of report.testResults) {
    const before = result.failed;
    for (const test of file.assertionResults) {
      const title = `${file.name.replace(/^.*?\/((?:src|test)\/)/, "$1")}: ${test.fullName}`;
      if (test.status === "passed") result.passed += 1;
      else if (test.status === "failed") fail(result, title, test.failureMessages?.[0]);
      else result.skipped.push(title);
    }
    if (file.status === "failed" && result.failed === before) fail(result, file.name, file.message);
  }
  return result;
}

function fail(result, title, message = "") {
  result.failed += 1;
  result.failures.push(`${title}\n    ${message.split("\n").slice(0, 6).join("\n    ")}`);
}
