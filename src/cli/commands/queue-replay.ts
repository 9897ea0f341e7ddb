import type { Command } from "../command.ts";
import { textArgs, UsageError } from "../command.ts";
import { EXIT } from "../exit-code.ts";
import { printJson } from "../print.ts";

export const queueReplay: Command = {
  name: "replay",
  summary: "put dead jobs back on their streams",
  details: "Once each, as if they were new: what they died of must have been repaired, or they die again.",
  args: [{ name: "[id...]", about: "ids as `hearth queue dead` prints them" }],
  options: [{ flags: "--all", about: "all of them" }],
  examples: ["hearth queue replay 1690000000000-0", "hearth queue replay --all"],
  async run({ io, isJson, isQuiet, connect, signal }, { args, options }) {
    const ids = textArgs(args[0]);
    const isAll = options["all"] === true;
    if (isAll === ids.length > 0) throw new UsageError("name the jobs, or say --all");
    const { replayed } = await connect().replayDeadJobs(isAll ? { all: true } : { ids: [...ids] }, {
      signal,
    });
    if (isJson) await printJson(io, { replayed });
    else if (!isQuiet)
      io.err(`hearth: ${replayed} ${replayed === 1 ? "job is" : "jobs are"} back on their streams`);
    // Names that were not there were passed over.
    return !isAll && replayed < new Set(ids).size ? EXIT.no.code : EXIT.done.code;
  },
};
