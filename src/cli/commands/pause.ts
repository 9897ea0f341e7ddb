import type { Command } from "../command.ts";
import { EXIT } from "../exit-code.ts";
import { printJson } from "../print.ts";

export const pause: Command = {
  name: "pause",
  summary: "take no more calls, and let running ones end",
  details: "Warm tasks go. Answers when all is quiet, or after the daemon's bounded wait (`pause_wait_s`).",
  async run({ io, isJson, isQuiet, connect, signal }) {
    const answer = await connect().pause({ signal });
    if (isJson) await printJson(io, answer);
    else if (!isQuiet)
      await io.out(answer.running === 0 ? "paused\n" : `paused; ${answer.running} calls still run\n`);
    return EXIT.done.code;
  },
};
