#!/usr/bin/env node
/**
 * Everything that has to hold before a change goes in (`npm run check`). Every step runs, also after one has failed; the last
 * line says `N passed, N failed`, counting each test and each other step as one.
 *
 *   node scripts/check.mjs                 all steps
 *   node scripts/check.mjs lint unit       only these
 *   node scripts/check.mjs --static        what needs no running product: format to docs
 *   node scripts/check.mjs --loud          with the output of every step
 *   node scripts/check.mjs --strict        without a second try of what failed
 *
 * What cannot run here is skipped aloud. With CI=true a skip is a failure, except where a conformance suite meets a driver
 * without that power, and for reasons that hold a phrase of HEARTH_MAY_SKIP (comma-separated). Up to three tests with real parts that
 * failed are run again by themselves; those that pass then are told as unsteady (`docs/adr/0040-an-unsteady-test-is-told.md`).
 */
import { existsSync, rmSync } from "node:fs";
import { delimiter, join } from "node:path";
import { runCommand } from "./check/run-command.mjs";
import { filesToTryAgain, withSecondTry } from "./check/second-try.mjs";
import { laneAgain, root, STEPS } from "./check/steps.mjs";
import { countEntries, readVitestReport, tellFailure } from "./check/vitest-report.mjs";

const flags = process.argv.slice(2).filter((argument) => argument.startsWith("--"));
const names = process.argv.slice(2).filter((argument) => !argument.startsWith("--"));
const isCi = process.env.CI === "true" || process.env.CI === "1";
const maySkip = (process.env.HEARTH_MAY_SKIP ?? "").split(",").filter((part) => part !== "");
/** Not the machine's lack but the design of what is tested. */
const BY_DESIGN = /this driver|this harness|nothing but processes/;
const unknown = names.filter((name) => !STEPS.some((step) => step.name === name));
if (unknown.length > 0) {
  console.error(`no such step: ${unknown.join(", ")}; there are ${STEPS.map(({ name }) => name).join(", ")}`);
  process.exit(2);
}

const total = { passed: 0, failed: 0, skipped: [] };
const failures = [];
const unsteady = [];
for (const step of STEPS) {
  if (names.length > 0 ? !names.includes(step.name) : flags.includes("--static") && step.lanes !== undefined)
    continue;
  const absent = whatIsAbsent(step);
  if (absent !== undefined) {
    report("skip", step.name, absent);
    total.skipped.push(`${step.name}: needs ${absent}`);
    continue;
  }
  await runStep(step);
}
finish();

async function runStep(step) {
  const startedAt = Date.now();
  const counts = step.lanes === undefined ? await runCommandStep(step) : await runSuite(step);
  const seconds = `${((Date.now() - startedAt) / 1000).toFixed(1)} s`;
  total.passed += counts.passed;
  total.failed += counts.failed;
  total.skipped.push(...counts.skipped);
  failures.push(...counts.failures);
  const parts = [seconds];
  if (step.lanes !== undefined) parts.push(`${counts.passed} passed`, `${counts.failed} failed`);
  if (counts.skipped.length > 0) parts.push(`${counts.skipped.length} skipped`);
  if (counts.unsteady?.length > 0) parts.push(`${counts.unsteady.length} unsteady`);
  report(counts.failed === 0 ? "ok" : "FAIL", step.name, parts.join(", "));
}

async function runCommandStep(step) {
  const ended = await run(step, step);
  if (ended.code === 0) return { passed: 1, failed: 0, skipped: [], failures: [] };
  return { passed: 0, failed: 1, skipped: [], failures: [howItEnded(step, ended)] };
}

/** All runs of a suite at once; they are counted as one. What failed by chance, perhaps, is run again. */
async function runSuite(step) {
  const first = await Promise.all(step.lanes.map((lane) => runLane(step, lane)));
  const entries = first.flat();
  const files =
    step.isUnsteady && !flags.includes("--strict") ? filesToTryAgain(entries, unsteady.length) : undefined;
  if (files === undefined) return countEntries(entries);
  const second = withSecondTry(entries, files, await runLane(step, laneAgain(step, files)));
  unsteady.push(...second.unsteady);
  return { ...countEntries(second.entries), unsteady: second.unsteady };
}

/** @returns what its report says, and how it ended where that says more. */
async function runLane(step, lane) {
  // An old report must not be counted when the run ends without a new one.
  rmSync(lane.report, { force: true });
  const ended = await run(step, lane);
  const entries = readVitestReport(lane.report);
  // A run may fail although each test passed: an unhandled rejection, or a hang that the time limit ended.
  if (ended.code === 0 || countEntries(entries).failed > 0) return entries;
  return [...entries, { title: howItEnded(lane, ended), state: "failed" }];
}

async function run({ timeoutMs }, { name, argv, env }) {
  const logFile = join(root, "out/reports", `${name}.log`);
  return await runCommand(argv, { cwd: root, logFile, timeoutMs, env, isLoud: flags.includes("--loud") });
}

function howItEnded({ name }, { code, tail, timedOut }) {
  return `${name} (exit ${code}${timedOut ? ", out of time" : ""})\n${tail}`;
}

/** What keeps a step from running, in words; `undefined` when nothing does. */
function whatIsAbsent({ needs, onlyWith }) {
  if (onlyWith !== undefined && !existsSync(join(root, onlyWith))) return onlyWith;
  if (needs === undefined) return undefined;
  const isThere = (process.env.PATH ?? "").split(delimiter).some((folder) => existsSync(join(folder, needs)));
  return isThere ? undefined : needs;
}

function report(word, name, detail) {
  console.error(`${word.padEnd(5)}${name.padEnd(13)}${detail}`);
}

function finish() {
  for (const failure of failures) console.error(`\n--- ${failure}`);
  if (unsteady.length > 0) {
    console.error(
      "\nunsteady: failed, and passed when run again by itself. Each is a defect of the test or of the product:",
    );
    for (const one of unsteady) console.error(`--- ${tellFailure(one)}`);
  }
  if (total.skipped.length > 0) console.error("\nskipped:");
  for (const title of total.skipped) console.error(`  ${title}`);
  const isAllowed = (title) => BY_DESIGN.test(title) || maySkip.some((phrase) => title.includes(phrase));
  const refused = isCi ? total.skipped.filter((title) => !isAllowed(title)) : [];
  if (refused.length > 0) {
    console.error("\nnot to be skipped with CI=true:");
    for (const title of refused) console.error(`  ${title}`);
  }
  const failed = total.failed + refused.length;
  const skipped = total.skipped.length - refused.length;
  const more = [
    skipped === 0 ? "" : `, ${skipped} skipped`,
    unsteady.length === 0 ? "" : `, ${unsteady.length} unsteady`,
  ].join("");
  console.log(`${total.passed} passed, ${failed} failed${more}`);
  process.exitCode = failed === 0 ? 0 : 1;
}
