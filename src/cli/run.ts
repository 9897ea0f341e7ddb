import { CommanderError } from "commander";
import { HearthClient, HearthError } from "../client/index.ts";
import { accessToken, daemonAddress } from "./address.ts";
import type { Command, Context, Invocation } from "./command.ts";
import { textOption, UsageError } from "./command.ts";
import { commandTable } from "./command-table.ts";
import { EXIT, exitCodeOf } from "./exit-code.ts";
import type { Io } from "./io.ts";
import { nodeFetch } from "./node-fetch.ts";
import type { Parts } from "./parts.ts";
import { printProblem } from "./problem.ts";
import { buildProgram } from "./program.ts";

export interface CliOptions {
  /** Without the interpreter and the script. */
  readonly argv: readonly string[];
  readonly io: Io;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly cwd: string;
  readonly parts: Parts;
}

/** Runs one command line. @returns the exit code; never rejects. */
export async function runCli(options: CliOptions): Promise<number> {
  const { io, parts } = options;
  const argv = normalise(options.argv);
  let code: number = EXIT.usage.code;
  let help = "";
  const settings = ["serve", "api"].some((name) => argv.includes(name)) ? (await parts.settings()).flags : [];
  const program = buildProgram({
    version: parts.version,
    commands: commandTable(settings),
    out: (text) => {
      help += text;
    },
    err: (text) => io.err(text),
    perform: async (command, invocation) => {
      code = await perform(command, invocation, options);
    },
  });
  try {
    await program.parseAsync(argv, { from: "user" });
    return code;
  } catch (error) {
    if (!(error instanceof CommanderError)) return await report(error, options);
    if (help !== "") await io.out(help);
    // Its own codes are 0 for help and version that were asked for, and 1 for everything else.
    return error.exitCode === 0 ? EXIT.done.code : EXIT.usage.code;
  }
}

/** `-config FILE`, as the original takes it; and no command at all means `serve` to whoever starts the container that way. */
function normalise(argv: readonly string[]): string[] {
  const words = argv.map((word) => word.replace(/^-config(?==|$)/, "--config"));
  const [first] = words;
  return first !== undefined && /^--config(=|$)/.test(first) ? ["serve", ...words] : words;
}

async function perform(command: Command, invocation: Invocation, options: CliOptions): Promise<number> {
  const stop = new AbortController();
  const listeners = (command.isDaemon === true ? [] : (["SIGINT", "SIGTERM"] as const)).map((name) => {
    // Only once: a second Ctrl-C ends the program the hard way.
    const listener = (): void => stop.abort(new Interrupted(name));
    process.once(name, listener);
    return () => process.removeListener(name, listener);
  });
  const context = contextOf(invocation, options, stop.signal);
  try {
    return await command.run(context, invocation);
  } catch (error) {
    if (stop.signal.aborted) return codeOf(stop.signal.reason);
    return await report(error, options, context);
  } finally {
    for (const remove of listeners) remove();
  }
}

function contextOf(invocation: Invocation, options: CliOptions, signal: AbortSignal): Context {
  const { io, env, cwd, parts } = options;
  return {
    io,
    env,
    cwd,
    parts,
    signal,
    isJson: invocation.options["json"] === true,
    isQuiet: invocation.options["quiet"] === true,
    connect() {
      const { baseUrl, socketPath } = daemonAddress(textOption(invocation, "host"), env);
      return new HearthClient({ baseUrl, token: accessToken(env), fetch: nodeFetch(socketPath) });
    },
  };
}

async function report(error: unknown, { io }: CliOptions, context?: Context): Promise<number> {
  if (error instanceof UsageError) {
    io.err(`hearth: ${error.message}`);
    return EXIT.usage.code;
  }
  if (error instanceof HearthError && context !== undefined) {
    await printProblem(context, error);
    return exitCodeOf(error);
  }
  // What the system says needs no stack; anything else is a defect, and the stack shows where.
  const isDefect = !(error instanceof Error && "code" in error);
  io.err(`hearth: ${isDefect && error instanceof Error ? (error.stack ?? error.message) : messageOf(error)}`);
  return EXIT.no.code;
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

class Interrupted extends Error {
  readonly exitCode: number;

  constructor(signal: "SIGINT" | "SIGTERM") {
    super(`ended by ${signal}`);
    this.exitCode = signal === "SIGINT" ? EXIT.interrupted.code : 143;
  }
}

function codeOf(reason: unknown): number {
  return reason instanceof Interrupted ? reason.exitCode : EXIT.no.code;
}
