import { expect, test } from "vitest";
import { filesToTryAgain, withSecondTry } from "../../scripts/check/second-try.mjs";
import { countEntries } from "../../scripts/check/vitest-report.mjs";

const passed = (file: string, title = "p") => ({ file, title: `${file}: ${title}`, state: "passed" });
const failed = (file: string, title = "f", error = "no") => ({
  ...{ file, title: `${file}: ${title}`, state: "failed", error },
});

test("what failed is run again by its files, each once", () => {
  const entries = [passed("a"), failed("b", "one"), failed("b", "two"), failed("c")];
  expect(filesToTryAgain(entries, 0)).toEqual(["b", "c"]);
  expect(filesToTryAgain([passed("a"), { ...passed("b"), state: "skipped" }], 0)).toBeUndefined();
});

test("what the page shows of jobs is looked at once more as the rest of the page is", () => {
  const file = "test/e2e/dashboard-jobs.test.ts";
  expect(filesToTryAgain([failed(file)], 0)).toEqual([file]);
});

test("more than three in one run, all suites together, are no chance", () => {
  expect(filesToTryAgain([failed("a", "1"), failed("a", "2"), failed("a", "3")], 0)).toEqual(["a"]);
  expect(filesToTryAgain([failed("a", "1"), failed("a", "2"), failed("a", "3")], 1)).toBeUndefined();
  expect(filesToTryAgain([failed("a")], 3)).toBeUndefined();
});

test.each([
  "test/faults/redis.test.ts",
  "test/integration/queue-redis.test.ts",
  "test/integration/process-conformance.test.ts",
  "test/e2e/stream-lives.test.ts",
  "test/e2e/receipts.test.ts",
  "test/e2e/indexify-ends.test.ts",
  "test/integration/process-jobs.test.ts",
])("%s shows that nothing is lost or doubled: there one failure is one too many", (file) => {
  expect(filesToTryAgain([failed(file)], 0)).toBeUndefined();
  expect(filesToTryAgain([failed("test/e2e/cli.test.ts"), failed(file)], 0)).toBeUndefined();
});

test("a counterexample, a hang, and a failure that is no test's stay failures", () => {
  expect(filesToTryAgain([failed("a", "f", "Property failed after 3 tests")], 0)).toBeUndefined();
  expect(filesToTryAgain([{ title: "the run ended without a report", state: "failed" }], 0)).toBeUndefined();
  expect(filesToTryAgain([failed("a"), { title: "unhandled", state: "failed" }], 0)).toBeUndefined();
});

test("of files that were run again only the second try counts, with all their tests", () => {
  const first = [passed("a"), passed("b", "p"), failed("b", "f")];
  const well = withSecondTry(first, ["b"], [passed("b", "p"), passed("b", "f")]);
  expect(countEntries(well.entries)).toEqual({ passed: 3, failed: 0, skipped: [], failures: [] });
  expect(well.unsteady).toEqual([failed("b", "f")]);

  const other = withSecondTry(first, ["b"], [failed("b", "p"), passed("b", "f")]);
  expect(countEntries(other.entries)).toMatchObject({ passed: 2, failed: 1 });
  expect(other.unsteady).toEqual([]);

  // A second try that came to nothing has not passed.
  const none = withSecondTry(first, ["b"], [{ title: "the run ended without a report", state: "failed" }]);
  expect(countEntries(none.entries)).toMatchObject({ passed: 1, failed: 1 });
  expect(none.unsteady).toEqual([]);
});
