import type { Command } from "../command.ts";
import { listOption } from "../command.ts";
import type { SettingFlag } from "../parts.ts";
import { settingOption, settingsInput } from "./serve.ts";

/** The daemon as it stands in for the reference executor: with that one's file and its flags. */
export function indexifyCommand(flags: readonly SettingFlag[]): Command {
  return {
    name: "indexify",
    summary: "run the daemon in the place of an Indexify server's own executor",
    details:
      "Reads the configuration file of indexify-dataplane, and has its defaults: workers are plain processes, the whole host is\n" +
      "theirs, /monitoring is on 8100 and sandboxes are reached over 8095. What of the file means nothing here is named in the log.\n" +
      "HEARTH_ variables and the flags of `hearth serve` are stronger than the file.",
    options: [
      {
        flags: "-c, --config <file>",
        about: "the file of indexify-dataplane; without one its defaults count",
      },
      {
        flags: "-f, --function <uri>",
        about:
          "a function that may run here, as namespace:application:function[:version]; may be given again",
        repeats: true,
      },
      ...flags.map(settingOption),
    ],
    examples: [
      "hearth indexify",
      "hearth indexify --config dataplane.yaml",
      "hearth indexify -f default:app:hello -f default:app:other:v2",
    ],
    isDaemon: true,
    run: (context, invocation) => {
      const input = settingsInput(invocation, flags);
      const functions = listOption(invocation, "function");
      const allowed = functions.length === 0 ? {} : { "indexify.functions": functions.join(",") };
      return context.parts.serve({ ...input, dialect: "indexify", flags: { ...input.flags, ...allowed } });
    },
  };
}
