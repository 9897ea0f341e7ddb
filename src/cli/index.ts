export type { Command, CommandGroup, OptionSpec } from "./command.ts";
export { writeCliDoc } from "./docs.ts";
export type { Io } from "./io.ts";
export { processIo } from "./io.ts";
export type { Finding, Parts, SettingEntry, SettingFlag, SettingsInput, SettingsTool } from "./parts.ts";
export type { CliOptions } from "./run.ts";
export { runCli } from "./run.ts";
