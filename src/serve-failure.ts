/** What a daemon or the web API says that could not start or go on, and what it ends with. */
import type { Log, LogEvent } from "./core/index.ts";
import { ExecutorError } from "./core/index.ts";

/** As the rest of the program ends (`docs/cli.md`): it failed; a setting, or a file that one names, has faults. */
const EXIT = { failed: 1, usage: 2 } as const;

/**
 * A wrong setting is told once, in a line for whoever started the program, as those are that are found before anything is opened;
 * everything else is in the log as well.
 *
 * @returns the exit code.
 */
export function tellFailure(log: Log, event: LogEvent, thrown: unknown): number {
  const error = ExecutorError.from(thrown);
  const isUsage = error.code === "CONFIG_INVALID";
  if (!isUsage) log.log("error", event, { error: thrown });
  process.stderr.write(`hearth: ${error.message}\n`);
  return isUsage ? EXIT.usage : EXIT.failed;
}
