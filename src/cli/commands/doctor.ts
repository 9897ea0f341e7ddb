import { HearthError } from "../../client/index.ts";
import type { Command, Context } from "../command.ts";
import { textOption } from "../command.ts";
import { EXIT, exitCodeOf } from "../exit-code.ts";
import type { Finding } from "../parts.ts";
import { printJson } from "../print.ts";
import { CONFIG_OPTION } from "./serve.ts";

export const doctor: Command = {
  name: "doctor",
  summary: "say what this host can isolate, measure and book; needs no daemon",
  options: [
    CONFIG_OPTION,
    { flags: "--quick", about: "only ask the daemon whether it and its engine are well" },
  ],
  examples: ["hearth doctor", "hearth doctor --quick"],
  run: (context, invocation) =>
    invocation.options["quick"] === true
      ? quick(context)
      : thorough(context, textOption(invocation, "config")),
};

async function quick({ io, isJson, isQuiet, connect, signal }: Context): Promise<number> {
  try {
    await connect().health({ signal });
    if (isJson) await printJson(io, { isHealthy: true });
    else if (!isQuiet) await io.out("well\n");
    return EXIT.done.code;
  } catch (error) {
    if (!(error instanceof HearthError)) throw error;
    if (isJson) await printJson(io, { isHealthy: false, reason: error.message });
    else io.err(`hearth: ${error.message}`);
    return error.code === "UNREACHABLE" ? exitCodeOf(error) : EXIT.no.code;
  }
}

async function thorough(context: Context, configFile: string | undefined): Promise<number> {
  const { io } = context;
  const findings = await context.parts.diagnose({ configFile, flags: {} }, context.signal);
  const isAble = !findings.some(({ state }) => state === "broken");
  if (context.isJson) await printJson(io, { isAble, findings });
  else for (const area of AREAS) await printArea(context, area, findings);
  return isAble ? EXIT.done.code : EXIT.no.code;
}

const AREAS = [
  { name: "isolate", title: "What it can isolate" },
  { name: "measure", title: "What it can measure" },
  { name: "book", title: "What it can book" },
  { name: "reach", title: "How it is reached" },
] as const satisfies readonly { name: Finding["area"]; title: string }[];

const MARKS = {
  ok: ["ok     ", "green"],
  limited: ["limited", "yellow"],
  missing: ["missing", "yellow"],
  broken: ["broken ", "red"],
} as const satisfies Record<Finding["state"], readonly [string, "green" | "yellow" | "red"]>;

async function printArea(
  { io, isQuiet }: Context,
  { name, title }: (typeof AREAS)[number],
  all: readonly Finding[],
): Promise<void> {
  const findings = all.filter(({ area, state }) => area === name && !(isQuiet && state === "ok"));
  if (findings.length === 0) return;
  const lines = findings.flatMap(({ state, text, advice }) => {
    const [word, colour] = MARKS[state];
    const line = `  ${io.style(colour, word)}  ${text}`;
    return advice === undefined ? [line] : [line, `           ${io.style("dim", advice)}`];
  });
  await io.out(`${[io.style("bold", title), ...lines].join("\n")}\n`);
}
