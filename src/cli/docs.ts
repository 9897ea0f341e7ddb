import type { Command, CommandGroup, OptionSpec } from "./command.ts";
import { commandTable } from "./command-table.ts";
import { EXIT } from "./exit-code.ts";
import { GLOBAL_OPTIONS } from "./program.ts";

/** `docs/cli.md`, from the table of commands. */
export function writeCliDoc(): string {
  const commands = commandTable([]).flatMap((entry) => flatten(entry));
  return `${[
    BEGINNING,
    "## Every command\n",
    optionTable(GLOBAL_OPTIONS),
    ...commands.map(({ name, command }) => describe(name, command)),
    "## Exit codes\n",
    "| code | meaning |\n| --- | --- |",
    ...Object.values(EXIT).map(({ code, about }) => `| ${code} | ${about} |`),
  ].join("\n")}\n`;
}

function flatten(entry: Command | CommandGroup): { name: string; command: Command }[] {
  if ("run" in entry) return [{ name: entry.name, command: entry }];
  return [
    ...(entry.own === undefined ? [] : [{ name: entry.name, command: entry.own }]),
    ...entry.commands.map((command) => ({ name: `${entry.name} ${command.name}`, command })),
  ];
}

function describe(name: string, { summary, details, args = [], options = [], examples }: Command): string {
  const usage = [
    "hearth",
    name,
    ...(options.length > 0 ? ["[options]"] : []),
    ...args.map((arg) => arg.name),
  ];
  const parts = [`## hearth ${name}\n`, `    ${usage.join(" ")}\n`, `${capitalised(summary)}.\n`];
  if (details !== undefined) parts.push(`${details}\n`);
  if (args.length > 0) parts.push(`${args.map((arg) => `- \`${arg.name}\`: ${arg.about}`).join("\n")}\n`);
  if (options.length > 0) parts.push(optionTable(options));
  if (name === "serve") parts.push("Each setting is a flag too: [configuration.md](configuration.md).\n");
  if (examples !== undefined) parts.push(`${examples.map((line) => `    ${line}`).join("\n")}\n`);
  return parts.join("\n");
}

function optionTable(options: readonly OptionSpec[]): string {
  const rows = options.map(({ flags, about, choices }) => {
    const all = choices === undefined ? about : `${about}: ${choices.join(", ")}`;
    return `| \`${flags}\` | ${all.replaceAll("|", "\\|")} |`;
  });
  return `| option | meaning |\n| --- | --- |\n${rows.join("\n")}\n`;
}

function capitalised(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}

const BEGINNING = `# The command line

<!-- Written by \`npm run docs\` from src/cli. -->

Standard output carries data, standard error talk. \`--json\` prints one object, with the field names of the API. A warm task may be
named by its id, the beginning of its id, its outside name, or its image if only one runs it.

The daemon is found by \`-H\`, else \`HEARTH_HOST\`, else where \`HEARTH_HTTP_HOST\` and \`HEARTH_HTTP_PORT\` would make it listen, else at
\`127.0.0.1:2591\`. Where it wants a token: \`HEARTH_TOKEN\`, or \`HEARTH_TOKEN_FILE\`. \`NO_COLOR\` is obeyed.
`;
