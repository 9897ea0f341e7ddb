import type { Command, Context } from "../command.ts";
import { textArgs, UsageError } from "../command.ts";
import { EXIT } from "../exit-code.ts";
import { printJson } from "../print.ts";

export const queueReplay: Command = {
  name: "replay",
  summary: "put dead jobs back on their streams",
  details:
    "Once each, as if they were new: what they died of must have been repaired, or they die again. An id that is not there is\n" +
    "named, and the exit code is 1; the others go back.",
  args: [{ name: "[id...]", about: "ids as `hearth queue dead` prints them" }],
  options: [{ flags: "--all", about: "all of them" }],
  examples: ["hearth queue replay 1690000000000-0", "hearth queue replay --all"],
  async run(context, { args, options }) {
    const { io, isJson, isQuiet, connect, signal } = context;
    const ids = textArgs(args[0]);
    const isAll = options["all"] === true;
    if (isAll === ids.length > 0) throw new UsageError("name the jobs, or say --all");
    checkLengths(ids);
    const { replayed, missing } = isAll
      ? { ...(await connect().replayDeadJobs({ all: true }, { signal })), missing: [] }
      : await replayEach(context, [...new Set(ids)]);
    if (isJson) await printJson(io, missing.length === 0 ? { replayed } : { replayed, missing });
    else {
      if (!isQuiet && (replayed > 0 || missing.length === 0)) io.err(backLine(replayed));
      if (missing.length > 0) io.err(missingLine(missing));
    }
    return missing.length === 0 ? EXIT.done.code : EXIT.no.code;
  },
};

/** The API's own limit (`replayRequest`). */
const MOST_CHARS = 128;

/** Before the first is asked for: one that the API refuses would end the rest in the middle. */
function checkLengths(ids: readonly string[]): void {
  for (const id of ids) {
    if (id !== "" && id.length <= MOST_CHARS) continue;
    const shown = id.length <= MOST_CHARS ? id : `${id.slice(0, MOST_CHARS)}…`;
    throw new UsageError(`no job is called "${shown}": an id has 1 to ${MOST_CHARS} characters`);
  }
}

interface Replayed {
  readonly replayed: number;
  /** Those that were not there. */
  readonly missing: readonly string[];
}

/** One after the other: the answer is how many went back, and not which. @throws what the daemon says, having told what went back before. */
async function replayEach({ io, connect, signal }: Context, ids: readonly string[]): Promise<Replayed> {
  const client = connect();
  const missing: string[] = [];
  let replayed = 0;
  try {
    for (const id of ids) {
      const answer = await client.replayDeadJobs({ ids: [id] }, { signal });
      replayed += answer.replayed;
      if (answer.replayed === 0) missing.push(id);
    }
  } catch (error) {
    if (replayed > 0) io.err(backLine(replayed));
    throw error;
  }
  return { replayed, missing };
}

function backLine(count: number): string {
  return `hearth: ${count} ${count === 1 ? "job is" : "jobs are"} back on their streams`;
}

function missingLine(ids: readonly string[]): string {
  const names = ids.map((id) => `"${id}"`).join(", ");
  return `hearth: no dead ${ids.length === 1 ? "job is" : "jobs are"} called ${names}; \`hearth queue dead\` lists them`;
}
