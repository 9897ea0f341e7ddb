import type { Command } from "../command.ts";
import { textArgs } from "../command.ts";
import { EXIT } from "../exit-code.ts";
import { printJson } from "../print.ts";

export const sessionEnd: Command = {
  name: "end",
  summary: "end sessions, so that their servers are let go",
  args: [{ name: "<session...>", about: "whole ids, as `attest` or `call --session new` printed them" }],
  async run({ io, isJson, connect, signal }, { args }) {
    const client = connect();
    const ended: string[] = [];
    for (const id of textArgs(args[0])) {
      await client.endSession(id, { signal });
      ended.push(id);
    }
    if (isJson) await printJson(io, { ended });
    return EXIT.done.code;
  },
};
