import type { Command } from "../command.ts";
import { textArg } from "../command.ts";
import { EXIT } from "../exit-code.ts";
import { printJson, visible } from "../print.ts";
import { runLines } from "../run-lines.ts";

export const runsShow: Command = {
  name: "show",
  summary: "show one run: how it ended, where its time went and what it used",
  args: [{ name: "<run>", about: "its id, as the answer's Hearth-Run-Id said" }],
  options: [{ flags: "--receipt", about: "print its receipt, with what proves it, for `hearth verify`" }],
  examples: [
    "hearth runs show 01m7xs67ey00000dpa0knxf41d",
    "hearth runs show 01m7xs67ey00000dpa0knxf41d --receipt > receipt.json",
  ],
  async run({ io, isJson, connect, signal }, { args, options }) {
    const id = textArg(args[0]) ?? "";
    if (options["receipt"] === true) await printJson(io, await connect().receipt(id, { signal }));
    else {
      const run = await connect().run(id, { signal });
      if (isJson) await printJson(io, run);
      else await io.out(`${runLines(run).map(visible).join("\n")}\n`);
    }
    return EXIT.done.code;
  },
};
