import type { Command, Invocation, OptionSpec } from "../command.ts";
import { textOption } from "../command.ts";
import type { SettingFlag, SettingsInput } from "../parts.ts";

export const CONFIG_OPTION: OptionSpec = {
  flags: "-c, --config <file>",
  about: "read this file and no other (-config works too)",
};

/** The command's options are the settings themselves, so it is made from them. */
export function serveCommand(flags: readonly SettingFlag[]): Command {
  return {
    name: "serve",
    summary: "run the daemon until it is told to stop",
    details:
      "Runs without any configuration. A flag is stronger than a HEARTH_ variable, a variable than the file.\n" +
      "SIGTERM and Ctrl-C let running calls end; a second one ends them.",
    options: [CONFIG_OPTION, ...flags.map(settingOption)],
    examples: [
      "hearth serve",
      "hearth serve --config hearth.yaml",
      "hearth serve --driver process --cpu 2 --mem 1024",
    ],
    isDaemon: true,
    run: (context, invocation) => context.parts.serve(settingsInput(invocation, flags)),
  };
}

/** The settings among a command's options, by setting key. */
export function settingsInput(invocation: Invocation, flags: readonly SettingFlag[]): SettingsInput {
  const given: [string, string][] = [];
  for (const { key, flag } of flags) {
    const value = invocation.options[camelCase(flag)];
    if (value !== undefined) given.push([key, String(value)]);
  }
  return { configFile: textOption(invocation, "config"), flags: Object.fromEntries(given) };
}

/** One setting as an option of a command that runs for long. */
export function settingOption({ flag, value, about, isSwitch, section }: SettingFlag): OptionSpec {
  return { flags: `${flag} ${isSwitch ? "[yes|no]" : `<${value}>`}`, about, group: `Settings: ${section}` };
}

function camelCase(flag: string): string {
  return flag.slice(2).replace(/-([a-z0-9])/g, (_, letter: string) => letter.toUpperCase());
}
