import type { DeadLetters } from "../../client/index.ts";
import type { Command } from "../command.ts";
import { numberOption } from "../command.ts";
import { EXIT } from "../exit-code.ts";
import { formatDuration, printJson, printTable } from "../print.ts";

export const queueDead: Command = {
  name: "dead",
  summary: "list the jobs that were put aside because they cannot be run",
  details: "The oldest first. `hearth queue replay` puts them back.",
  options: [{ flags: "--limit <count>", about: "at most this many (default 100)" }],
  async run({ io, isJson, isQuiet, connect, signal }, invocation) {
    const dead = await connect().deadJobs({ limit: numberOption(invocation, "limit"), signal });
    if (isJson) await printJson(io, dead);
    else if (isQuiet) await io.out(dead.letters.map(({ id }) => `${id}\n`).join(""));
    else await printTable(io, ["ID", "JOB", "STREAM", "DEATHS", "AGE", "REASON"], dead.letters.map(rowOf));
    return EXIT.done.code;
  },
};

function rowOf({ id, jobId, stream, deaths, atMs, reason }: DeadLetters["letters"][number]): string[] {
  const age = formatDuration(Math.max(0, Date.now() - atMs));
  return [id, jobId, stream, String(deaths), age, reason];
}
