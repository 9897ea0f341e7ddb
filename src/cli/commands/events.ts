import type { HostEvent } from "../../client/index.ts";
import { HearthError } from "../../client/index.ts";
import { sleep } from "../../std/index.ts";
import type { Command, Context } from "../command.ts";
import { numberOption } from "../command.ts";
import { eventLine } from "../event-line.ts";
import { EXIT } from "../exit-code.ts";
import { printJson } from "../print.ts";
import { whileRead } from "../while-read.ts";

const RETRY_MS = 1000;

export const events: Command = {
  name: "events",
  summary: "follow what happens on the host",
  details:
    "One line for each event, until Ctrl-C. When the connection breaks it is made again, and goes on after the last event; a gap says that something in between is lost.",
  options: [
    { flags: "--recent <count>", about: "begin with at most this many events of the past (default 20)" },
  ],
  examples: ["hearth events", "hearth events --recent 0 --json"],
  async run(context, invocation) {
    const recent = numberOption(invocation, "recent") ?? 20;
    let after: string | undefined;
    return await whileRead(context, async () => {
      while (!context.signal.aborted) {
        after = await follow(context, { recent, after });
        context.io.err("the connection ended; trying again");
        await sleep(RETRY_MS, context.signal);
      }
      return EXIT.done.code;
    });
  },
};

/** Prints what comes. @returns the id of the last event once the daemon has gone away; the first connection has to succeed. */
async function follow(
  { io, isJson, connect, signal }: Context,
  { recent, after }: { readonly recent: number; readonly after: string | undefined },
): Promise<string | undefined> {
  let last = after;
  try {
    for await (const event of connect().events({ recent, after, signal })) {
      await (isJson ? printJson(io, event) : io.out(`${printed(event)}\n`));
      last = event.id;
    }
  } catch (error) {
    // A connection that breaks shows itself in as many ways as there are; what the daemon itself refuses is its answer.
    const isAnswer = error instanceof HearthError && error.code !== "UNREACHABLE";
    if (last === undefined || isAnswer || signal.aborted) throw error;
  }
  return last;
}

function printed(event: HostEvent): string {
  return `${event.at.slice(11, 23)}  ${eventLine(event)}`;
}
