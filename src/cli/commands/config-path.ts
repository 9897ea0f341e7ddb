import type { Command } from "../command.ts";
import { textOption } from "../command.ts";
import { EXIT } from "../exit-code.ts";
import { printJson } from "../print.ts";
import { CONFIG_OPTION } from "./serve.ts";

export const configPath: Command = {
  name: "path",
  summary: "print the file that a daemon started here and now would read; needs no daemon",
  details: "Ends with 1 if there is none.",
  options: [CONFIG_OPTION],
  async run({ io, isJson, isQuiet, parts }, invocation) {
    const tool = await parts.settings();
    const read = tool.read({ configFile: textOption(invocation, "config"), flags: {} });
    if ("faults" in read) {
      for (const fault of read.faults) io.err(fault);
      return EXIT.usage.code;
    }
    if (isJson) await printJson(io, { file: read.file ?? null, candidates: tool.candidates });
    else if (read.file !== undefined) await io.out(`${read.file}\n`);
    else if (!isQuiet) {
      io.err(`no file; these were looked for:\n${tool.candidates.map((file) => `  ${file}`).join("\n")}`);
    }
    return read.file === undefined ? EXIT.no.code : EXIT.done.code;
  },
};
