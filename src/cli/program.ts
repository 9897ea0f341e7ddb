import { Option, Command as Program } from "commander";
import type { Command, CommandGroup, Invocation, OptionSpec } from "./command.ts";

/** Options that every command takes, before or after its name. */
export const GLOBAL_OPTIONS: readonly OptionSpec[] = [
  { flags: "-H, --host <address>", about: "the daemon: host:port, http://…, unix:///path (or HEARTH_HOST)" },
  { flags: "--json", about: "print one JSON object (with -f: one per line)" },
  { flags: "-q, --quiet", about: "print only what was asked for, such as ids" },
];

export interface ProgramOptions {
  readonly version: string;
  readonly commands: readonly (Command | CommandGroup)[];
  readonly out: (text: string) => void;
  readonly err: (text: string) => void;
  /** Carries a command out; its code is the program's. */
  perform(command: Command, invocation: Invocation): Promise<void>;
}

/** The command line as a parser. `parseAsync` rejects with a `CommanderError` for help, version and wrong use. */
export function buildProgram(options: ProgramOptions): Program {
  const program = new Program("hearth")
    .description("Runs offloaded tasks in isolated, capped sandboxes that stay warm.")
    .version(options.version, "-V, --version", "print the version")
    .helpOption("-h, --help", "print help")
    .helpCommand("help [command]", "print help for a command")
    .addHelpText(
      "after",
      "\n`hearth help <command>` says more. First steps: `hearth serve`, then `hearth call echo hello`.",
    );
  prepare(program, options);
  for (const spec of GLOBAL_OPTIONS) program.addOption(optionOf(spec));
  for (const entry of options.commands) {
    if ("run" in entry) addCommand(program, entry, options);
    else {
      const group = program.command(entry.name).description(entry.summary);
      prepare(group, options);
      if (entry.own !== undefined) define(group, entry.own, options);
      for (const command of entry.commands) addCommand(group, command, options);
    }
  }
  return program;
}

function addCommand(parent: Program, command: Command, options: ProgramOptions): void {
  const program = parent.command(command.name);
  prepare(program, options);
  define(program, command, options);
}

function define(program: Program, command: Command, options: ProgramOptions): void {
  program.summary(command.summary);
  program.description([capitalised(command.summary), command.details].filter(Boolean).join(".\n\n"));
  for (const { name, about } of command.args ?? []) program.argument(name, about);
  for (const spec of command.options ?? []) program.addOption(optionOf(spec));
  if (command.examples !== undefined) {
    program.addHelpText("after", `\nExamples:\n${command.examples.map((line) => `  ${line}`).join("\n")}`);
  }
  program.action(async () => {
    await options.perform(command, { args: program.processedArgs, options: program.optsWithGlobals() });
  });
}

/** What a subcommand does not inherit from its parent. */
function prepare(program: Program, { out, err }: ProgramOptions): void {
  program
    .exitOverride()
    .showSuggestionAfterError()
    .showHelpAfterError("`hearth help` lists the commands and their options.")
    .configureHelp({ showGlobalOptions: true, sortSubcommands: false })
    .configureOutput({
      writeOut: out,
      writeErr: err,
      outputError: (text, write) => write(text.replace(/^error: /, "hearth: ")),
    });
}

function optionOf({ flags, about, choices, repeats, group }: OptionSpec): Option {
  const option = new Option(flags, about);
  if (choices !== undefined) option.choices(choices);
  if (repeats === true)
    option.argParser((one: string, before: readonly string[] | undefined) => [...(before ?? []), one]);
  if (group !== undefined) option.helpGroup(group);
  return option;
}

function capitalised(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}
