import { failedAmong } from "./vitest-report.mjs";

/** Failures of one whole run that may be chance; more than this is none. */
const MOST_UNSTEADY = 3;
/** What shows that nothing is lost, doubled or left over: there one time is one too many. What a page shows of jobs is not that. */
const PROOFS = /^test\/faults\/|conformance|queue|stream|(?<!dashboard-)jobs|indexify|receipts/;
/** A property that failed has found its counterexample; that others are not found again proves nothing. */
const PROPERTY = /Property failed/;

/**
 * Whether the failures of a suite can be looked at once more, by themselves and on a machine that does nothing else
 * (`docs/adr/0040-an-unsteady-test-is-told.md`).
 *
 * @param entries of the suite's reports.
 * @param unsteady how many of this run were tried again before.
 * @returns {string[] | undefined} the files to run again; `undefined` where nothing failed, or what failed is no chance.
 */
export function filesToTryAgain(entries, unsteady) {
  const failed = failedAmong(entries);
  if (failed.length === 0 || unsteady + failed.length > MOST_UNSTEADY) return undefined;
  if (failed.some(({ file, error = "" }) => file === undefined || PROOFS.test(file) || PROPERTY.test(error)))
    return undefined;
  return [...new Set(failed.map(({ file }) => file))];
}

/**
 * What a suite came to with its second try: for the files that were run again only that counts.
 *
 * @returns {{ entries: object[], unsteady: object[] }} `unsteady`: what had failed the first time, if nothing did the second.
 */
export function withSecondTry(entries, files, again) {
  const others = entries.filter(({ file }) => !files.includes(file));
  const hasPassed = failedAmong(again).length === 0;
  return { entries: [...others, ...again], unsteady: hasPassed ? failedAmong(entries) : [] };
}
