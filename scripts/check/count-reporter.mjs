import { mkdirSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";

/**
 * Writes what the closing line is counted from: every test with its state, and why it was skipped. vitest's own JSON leaves the
 * reasons out. The file appears only once the run has ended.
 */
export default class CountReporter {
  constructor({ outputFile }) {
    this.outputFile = outputFile ?? process.env.HEARTH_TEST_REPORT;
  }

  onTestRunEnd(modules, unhandledErrors) {
    const tests = modules.flatMap((module) =>
      [...module.children.allTests()].map((test) => {
        const { state, errors, note } = test.result();
        const title = `${module.relativeModuleId}: ${test.fullName}`;
        return {
          file: module.relativeModuleId,
          title,
          state: test.options.mode === "todo" ? "failed" : state,
          note,
          error: textOf(errors?.[0]),
        };
      }),
    );
    // A file that could not be loaded, or a hook that failed, is a failure that no test shows.
    const broken = modules.flatMap((module) =>
      [module, ...module.children.allSuites()].flatMap((part) =>
        part.errors().map((error) => ({
          ...{ file: module.relativeModuleId, title: module.relativeModuleId },
          ...{ state: "failed", error: textOf(error) },
        })),
      ),
    );
    const loose = unhandledErrors.map((error) => ({
      title: "unhandled",
      state: "failed",
      error: textOf(error),
    }));
    mkdirSync(dirname(this.outputFile), { recursive: true });
    writeFileSync(this.outputFile, JSON.stringify([...tests, ...broken, ...loose]));
  }
}

function textOf(error) {
  if (error === undefined) return undefined;
  const where = error.stacks?.[0];
  const place = where === undefined ? "" : `\nat ${where.file}:${where.line}`;
  return `${error.message}${error.diff === undefined ? "" : `\n${error.diff}`}${place}`;
}
