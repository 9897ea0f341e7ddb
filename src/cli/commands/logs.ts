import type { HearthClient } from "../../client/index.ts";
import type { Command } from "../command.ts";
import { numberOption, textArg, UsageError } from "../command.ts";
import { EXIT } from "../exit-code.ts";
import { findSandbox } from "../find-sandbox.ts";
import { printJson } from "../print.ts";
import { whileRead } from "../while-read.ts";

const DEFAULT_TAIL_BYTES = 65_536;

export const logs: Command = {
  name: "logs",
  summary: "print what a warm task or a job has printed",
  args: [
    { name: "<task>", about: "the id of a warm task or its beginning, its name, its image, or a job's id" },
  ],
  options: [
    { flags: "-f, --follow", about: "go on with what comes, until the task ends" },
    { flags: "--tail <lines>", about: "at most this many of the last lines" },
  ],
  details:
    "With its whole id also what a task printed last that died or ran out of time, or a job that has ended, for a while after it is gone.",
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
    return await whileRead(context, async () => {
      for await (const chunk of client.followLogs(id, { tailBytes: 0, signal })) {
        if (isJson) await printJson(io, chunk);
        else await io.out(chunk.text);
      }
      return EXIT.done.code;
    });
  },
};

/** A whole id is taken as it is: the daemon keeps the last output of a task that died for a while after it is gone. */
async function idOf(client: HearthClient, text: string, signal: AbortSignal): Promise<string> {
  if (/^[0-9a-z]{26}$/.test(text)) return text;
  try {
    return (await findSandbox(client, text, signal)).id;
  } catch (error) {
    if (!(error instanceof UsageError) || !(await isJob(client, text, signal))) throw error;
    return text;
  }
}

/** Whether there is something to read of a job, which may have ended. */
async function isJob(client: HearthClient, text: string, signal: AbortSignal): Promise<boolean> {
  try {
    await client.logs(text, { tailBytes: 0, signal });
    return true;
  } catch {
    signal.throwIfAborted();
    return false;
  }
}

function lastLines(text: string, count: number): string {
  if (count <= 0) return "";
  const lines = text.split("\n");
  // A text that ends its last line has nothing after it.
  const end = lines.at(-1) === "" ? 1 : 0;
  return lines.slice(-(count + end)).join("\n");
}
