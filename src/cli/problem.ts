import type { HearthError } from "../client/index.ts";
import { ERRORS } from "../core/index.ts";
import type { Context } from "./command.ts";
import { formatDuration, printJson } from "./print.ts";
import { forTerminal } from "./task-output.ts";

/** Says what went wrong, and what to do about it: a person's lines on standard error, or one JSON object on standard output. */
export async function printProblem(context: Context, error: HearthError): Promise<void> {
  const { code, message, status, retry, facts, requestId } = error;
  if (context.isJson) {
    await printJson(context.io, { error: { code, message, status, retry, facts, requestId } });
    return;
  }
  // The faults come one on each line below.
  const said = code === "CONFIG_INVALID" ? ERRORS[code].text : message;
  // It may hold what a task has printed.
  context.io.err(`hearth: ${context.io.isErrTty ? forTerminal(said) : said}`);
  const advice = adviceFor(error);
  if (advice !== undefined) context.io.err(advice);
}

function adviceFor({ code, retryAfterMs, facts }: HearthError): string | undefined {
  switch (code) {
    case "UNREACHABLE":
      if (facts["service"] === "api")
        return "Start it with `hearth api`, or say where it is: --api http://host:port, or HEARTH_API_URL.";
      return "Start a daemon with `hearth serve`, or say where it is: -H host:port, or HEARTH_HOST.";
    case "TOKEN_REQUIRED":
    case "SCOPE_MISSING":
      return "Put a token into HEARTH_TOKEN, or its file's name into HEARTH_TOKEN_FILE.";
    case "PAUSED":
      return "`hearth unpause` lets it take calls again.";
    case "CONFIG_INVALID":
      return Array.isArray(facts["faults"])
        ? facts["faults"].map((fault) => `  ${String(fault)}`).join("\n")
        : undefined;
    case "SANDBOX_BUSY":
      return "`hearth evict --force` ends it, and what runs in it.";
    case "TASK_NOT_FOUND":
      return "`hearth task list` shows the tasks that are there; `hearth task new` makes one.";
    default:
      return retryAfterMs === undefined ? undefined : `Try again in ${formatDuration(retryAfterMs)}.`;
  }
}
