import type { HearthClient, HearthErrorCode, LogTail } from "../../client/index.ts";
import { HearthError } from "../../client/index.ts";
import type { Command } from "../command.ts";
import { numberOption, textArg, UsageError } from "../command.ts";
import { EXIT } from "../exit-code.ts";
import { maybeSandbox } from "../find-sandbox.ts";
import { printJson } from "../print.ts";
import { TaskOutput } from "../task-output.ts";
import { whileRead } from "../while-read.ts";

const DEFAULT_TAIL_BYTES = 65_536;
/** What the daemon says of a text that means nothing to it. */
const UNKNOWN: ReadonlySet<HearthErrorCode> = new Set<HearthErrorCode>([
  "SANDBOX_NOT_FOUND",
  "INPUT_INVALID",
]);

export const logs: Command = {
  name: "logs",
  summary: "print what a warm task or a job has printed",
  args: [{ name: "<task>", about: "the id of a task or its beginning, its name, its image, or a job's id" }],
  options: [
    { flags: "-f, --follow", about: "go on with what comes, until the task ends" },
    { flags: "--tail <lines>", about: "at most this many of the last lines" },
  ],
  details:
    "Also what a task printed last that died or ran out of time, or a job that has ended, for a while after it is gone: where no task that " +
    "is warm is called so, the newest of them. That it has ended is said on standard error, and nothing follows then. On a terminal control " +
    "characters other than colours are shown (\\x07) and not obeyed; what is piped is as the task printed it.",
  examples: ["hearth logs echo", "hearth logs -f --tail 10 01j9"],
  async run(context, invocation) {
    const { io, isJson, signal } = context;
    const client = context.connect();
    const lines = numberOption(invocation, "tail");
    const log = await readTail(client, textArg(invocation.args[0]) ?? "", signal);
    const { text, isTruncated, sandboxId, hasEnded } = log;
    if (hasEnded && !context.isQuiet) io.err(`hearth: ${sandboxId} has ended; this is what it printed last`);
    const tail = lines === undefined ? text : lastLines(text, lines);
    const isFollowed = invocation.options["follow"] === true;
    const output = new TaskOutput(io);
    if (isJson && !isFollowed)
      await printJson(io, { ...log, text: tail, isTruncated: isTruncated || tail !== text });
    else if (isJson) await printJson(io, { stream: "stdout", text: tail });
    else await output.print(tail);
    if (!isFollowed || hasEnded) {
      await output.end();
      return EXIT.done.code;
    }
    return await whileRead(context, async () => {
      for await (const chunk of client.followLogs(sandboxId, { tailBytes: 0, signal })) {
        if (isJson) await printJson(io, chunk);
        else await output.print(chunk.text);
      }
      await output.end();
      return EXIT.done.code;
    });
  },
};

/**
 * Of the one warm task that the text means; else of what the daemon knows by it: a job, or one that has ended.
 *
 * @throws {@link UsageError} when it means none, or several that are warm.
 */
async function readTail(client: HearthClient, text: string, signal: AbortSignal): Promise<LogTail> {
  const query = { tailBytes: DEFAULT_TAIL_BYTES, signal };
  if (/^[0-9a-z]{26}$/.test(text)) return await client.logs(text, query);
  const warm = await maybeSandbox(client, text, signal);
  const found = warm && (await unlessUnknown(client.logs(warm.id, query)));
  // One that only starts has printed nothing yet, and one may be gone since it was listed.
  const tail = found ?? (await unlessUnknown(client.logs(text, query)));
  if (tail !== undefined) return tail;
  throw new UsageError(
    `no warm task is called "${text}", and none that has ended lately; \`hearth ps\` lists them`,
  );
}

async function unlessUnknown(asked: Promise<LogTail>): Promise<LogTail | undefined> {
  try {
    return await asked;
  } catch (error) {
    if (error instanceof HearthError && UNKNOWN.has(error.code)) return undefined;
    throw error;
  }
}

function lastLines(text: string, count: number): string {
  if (count <= 0) return "";
  const lines = text.split("\n");
  // A text that ends its last line has nothing after it.
  const end = lines.at(-1) === "" ? 1 : 0;
  return lines.slice(-(count + end)).join("\n");
}
