import type { HearthClient } from "../../client/index.ts";
import type { Command } from "../command.ts";
import { numberOption, textArg } from "../command.ts";
import { EXIT } from "../exit-code.ts";
import { findSandbox } from "../find-sandbox.ts";
import { printJson } from "../print.ts";

const DEFAULT_TAIL_BYTES = 65_536;

export const logs: Command = {
  name: "logs",
  summary: "print what a warm task has printed",
  args: [{ name: "<task>", about: "the id of a warm task or its beginning, its name, or its image" }],
  options: [
    { flags: "-f, --follow", about: "go on with what comes, until the task ends" },
    { flags: "--tail <lines>", about: "at most this many of the last lines" },
  ],
  details:
    "With its whole id also what a task printed last that died or ran out of time, for a while after it is gone.",
  examples: ["hearth logs echo", "hearth logs -f --tail 10 01j9"],
  async run(context, invocation) {
    const { io, isJson, signal } = context;
    const client = context.connect();
    const lines = numberOption(invocation, "tail");
    const id = await idOf(client, textArg(invocation.args[0]) ?? "", signal);
    const { text, isTruncated } = await client.logs(id, { tailBytes: DEFAULT_TAIL_BYTES, signal });
    const tail = lines === undefined ? text : lastLines(text, lines);
    const isFollowed = invocation.options["follow"] === true;
    if (isJson && !isFollowed) await printJson(io, { text: tail, isTruncated: isTruncated || tail !== text });
    else if (isJson) await printJson(io, { stream: "stdout", text: tail });
    else await io.out(tail);
    if (!isFollowed) return EXIT.done.code;
    for await (const chunk of client.followLogs(id, { tailBytes: 0, signal })) {
      if (isJson) await printJson(io, chunk);
      else await io.out(chunk.text);
    }
    return EXIT.done.code;
  },
};

/** A whole id is taken as it is: the daemon keeps the last output of a task that died for a while after it is gone. */
async function idOf(client: HearthClient, text: string, signal: AbortSignal): Promise<string> {
  if (/^[0-9a-z]{26}$/.test(text)) return text;
  return (await findSandbox(client, text, signal)).id;
}

function lastLines(text: string, count: number): string {
  if (count <= 0) return "";
  const lines = text.split("\n");
  // A text that ends its last line has nothing after it.
  const end = lines.at(-1) === "" ? 1 : 0;
  return lines.slice(-(count + end)).join("\n");
}
