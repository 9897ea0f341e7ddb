import type { Run, RunWish } from "../../client/index.ts";
import { ATTEMPT_DOORS, ISOLATION_CLASSES } from "../../core/index.ts";
import { sleep } from "../../std/index.ts";
import type { Command, Context, Invocation } from "../command.ts";
import { numberOption, textOption, UsageError } from "../command.ts";
import { EXIT } from "../exit-code.ts";
import { printJson, printTable, visible } from "../print.ts";
import { runCells } from "../run-lines.ts";
import { whileRead } from "../while-read.ts";

const EVERY_MS = 1000;
/** The most that one answer holds, and as many answers as are asked for at once: a reader that falls behind further is told so. */
const PAGE = 1000;
const MOST_PAGES = 20;
const HEADS = ["ID", "DOOR", "TASK", "STATE", "STARTED", "TOOK", "CPU", "ANSWER"];
const UNITS_MS: Readonly<Record<string, number>> = { s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };

export const runs: Command = {
  name: "runs",
  summary: "list runs: those under way, then the last ended first",
  details:
    "Every call of every door is a run once it has ended. Calls made with --detach or --idempotency-key are there from their beginning, and only their answers can be fetched.",
  options: [
    { flags: "--limit <number>", about: "at most this many (default 100)" },
    { flags: "--door <door>", about: "that came in this way", choices: ATTEMPT_DOORS },
    { flags: "--image <image>", about: "of this image, as it was asked for, or of this content (sha256:…)" },
    { flags: "--isolation <class>", about: "that reached this class", choices: ISOLATION_CLASSES },
    {
      flags: "--outcome <outcome>",
      about: "a state (failed), an error code (RUN_TIMEOUT) or a status (404)",
    },
    { flags: "--since <time>", about: "accepted since then: RFC 3339, or so long ago (90s, 15m, 6h, 7d)" },
    { flags: "--until <time>", about: "accepted before then" },
    { flags: "-f, --follow", about: "go on with runs as they end, until Ctrl-C" },
  ],
  examples: ["hearth runs", "hearth runs --outcome failed --since 1h", "hearth runs -f --door v1 --json"],
  async run(context, invocation) {
    const wish = wishOf(invocation);
    if (invocation.options["follow"] === true) return await whileRead(context, () => follow(context, wish));
    const { io, isJson, isQuiet, connect, signal } = context;
    const list = await connect().runs({ ...wish, limit: numberOption(invocation, "limit"), signal });
    if (isJson) await printJson(io, list);
    else if (isQuiet) await io.out(list.runs.map(({ id }) => `${id}\n`).join(""));
    else await printTable(io, HEADS, list.runs.map(runCells));
    return EXIT.done.code;
  },
};

function wishOf(invocation: Invocation): RunWish {
  const text = (name: string): string | undefined => textOption(invocation, name);
  return {
    door: text("door") as RunWish["door"],
    image: text("image"),
    isolation: text("isolation") as RunWish["isolation"],
    outcome: text("outcome"),
    since: timeOf(text("since"), "since"),
    until: timeOf(text("until"), "until"),
  };
}

/** A time, or how long ago it was, as the daemon takes it. */
function timeOf(text: string | undefined, option: string): string | undefined {
  if (text === undefined) return undefined;
  const [, count, unit = ""] = /^(\d{1,9})([smhd])$/.exec(text) ?? [];
  const ms = count === undefined ? Date.parse(text) : Date.now() - Number(count) * (UNITS_MS[unit] ?? 0);
  if (Number.isNaN(ms))
    throw new UsageError(`--${option} needs a time (2026-01-31T12:00:00Z or 15m), not "${text}"`);
  return new Date(ms).toISOString();
}

/** Prints runs as they end, each once, in the order of their ends; begins with those that end from now on. */
async function follow(context: Context, wish: RunWish): Promise<number> {
  let last = await newest(context);
  for (;;) {
    await sleep(EVERY_MS, context.signal);
    const fresh = await endedAfter(context, wish, last);
    if (fresh === undefined) {
      context.io.err("gap: more runs ended than could be fetched");
      last = await newest(context);
      continue;
    }
    for (const run of fresh) await print(context, run);
    last = fresh.at(-1)?.receipt?.seq ?? last;
  }
}

async function newest({ connect, signal }: Context): Promise<number> {
  const list = await connect().runs({ limit: PAGE, signal });
  return Math.max(0, ...list.runs.map(({ receipt }) => receipt?.seq ?? 0));
}

/** Those whose receipt stands behind `seq`, the first ended first; `undefined` if there are too many. */
async function endedAfter(
  { connect, signal }: Context,
  wish: RunWish,
  seq: number,
): Promise<readonly Run[] | undefined> {
  const found: Run[] = [];
  let after: string | undefined;
  for (let page = 0; page < MOST_PAGES; page += 1) {
    const list = await connect().runs({ ...wish, limit: PAGE, after, signal });
    const ended = list.runs.filter(({ receipt }) => receipt !== undefined);
    const fresh = ended.filter(({ receipt }) => (receipt?.seq ?? 0) > seq);
    found.push(...fresh);
    after = list.next;
    if (after === undefined || fresh.length < ended.length || list.runs.length === 0) return found.reverse();
  }
  return undefined;
}

async function print({ io, isJson, isQuiet }: Context, run: Run): Promise<void> {
  if (isJson) await printJson(io, run);
  else await io.out(`${isQuiet ? run.id : runCells(run).map(visible).join("  ")}\n`);
}
