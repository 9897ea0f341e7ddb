import type { Command } from "../command.ts";
import { textOption } from "../command.ts";
import { EXIT } from "../exit-code.ts";
import { printJson, printTable } from "../print.ts";
import { printValue } from "./config-get.ts";
import { CONFIG_OPTION } from "./serve.ts";

export const configShow: Command = {
  name: "show",
  summary: "print the settings that a daemon started here and now would have; needs no daemon",
  options: [CONFIG_OPTION, { flags: "--origin", about: "with the place that each value comes from" }],
  async run(context, invocation) {
    const { io, isJson } = context;
    const tool = await context.parts.settings();
    const read = tool.read({ configFile: textOption(invocation, "config"), flags: {} });
    if ("faults" in read) {
      for (const fault of read.faults) io.err(fault);
      return EXIT.usage.code;
    }
    for (const warning of read.warnings) io.err(`hearth: ${warning}`);
    const isWithOrigin = invocation.options["origin"] === true;
    if (isJson) await printJson(io, { file: read.file ?? null, settings: read.entries });
    else {
      const heads = ["KEY", "VALUE", ...(isWithOrigin ? ["FROM"] : [])];
      const rows = read.entries.map(({ key, value, origin, unit }) => [
        key,
        `${printValue(value)}${unit === undefined ? "" : ` ${unit}`}`,
        ...(isWithOrigin ? [origin] : []),
      ]);
      await printTable(io, heads, rows);
    }
    return EXIT.done.code;
  },
};
