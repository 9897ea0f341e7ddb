import type { Command } from "../command.ts";
import { textArgs } from "../command.ts";
import { EXIT } from "../exit-code.ts";
import { findRunning } from "../find-sandbox.ts";
import { printJson } from "../print.ts";

export const evict: Command = {
  name: "evict",
  summary: "remove warm tasks, and workers and jobs",
  args: [
    { name: "<task...>", about: "ids as ps shows them or their beginnings, names, or images of warm tasks" },
  ],
  options: [{ flags: "--force", about: "also while calls run in it, and workers and jobs; they are ended" }],
  async run({ io, isJson, isQuiet, connect, signal }, { args, options }) {
    const client = connect();
    const evicted: string[] = [];
    for (const text of textArgs(args[0])) {
      const { id } = await findRunning(client, text, signal);
      await client.evict(id, { force: options["force"] === true ? true : undefined, signal });
      evicted.push(id);
      if (!isJson && !isQuiet) await io.out(`${id}\n`);
    }
    if (isJson) await printJson(io, { evicted });
    return EXIT.done.code;
  },
};
