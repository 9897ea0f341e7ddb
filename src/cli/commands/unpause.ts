import type { Command } from "../command.ts";
import { EXIT } from "../exit-code.ts";
import { printJson } from "../print.ts";

export const unpause: Command = {
  name: "unpause",
  summary: "take calls again",
  async run({ io, isJson, isQuiet, connect, signal }) {
    const answer = await connect().unpause({ signal });
    if (isJson) await printJson(io, answer);
    else if (!isQuiet) await io.out(`${answer.state}\n`);
    return EXIT.done.code;
  },
};
