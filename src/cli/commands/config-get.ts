import type { ConfigEntry } from "../../client/index.ts";
import type { Command } from "../command.ts";
import { textArgs, UsageError } from "../command.ts";
import { EXIT } from "../exit-code.ts";
import type { SettingEntry } from "../parts.ts";
import { printJson } from "../print.ts";

export const configGet: Command = {
  name: "get",
  summary: "print settings of the running daemon",
  args: [{ name: "[key...]", about: "such as cpu or http.port; without one, all" }],
  async run({ io, isJson, connect, signal }, { args }) {
    const { settings } = await connect().config({ signal });
    const keys = textArgs(args[0]);
    const chosen = keys.length === 0 ? settings : keys.map((key) => entryOf(settings, key));
    if (isJson) {
      await printJson(io, Object.fromEntries(chosen.map(({ key, value }) => [key, value])));
    } else if (keys.length === 1) {
      await io.out(`${printValue(chosen[0]?.value)}\n`);
    } else await io.out(chosen.map(({ key, value }) => `${key} = ${printValue(value)}\n`).join(""));
    return EXIT.done.code;
  },
};

function entryOf(settings: readonly ConfigEntry[], key: string): ConfigEntry {
  const entry = settings.find((setting) => setting.key === key);
  if (entry === undefined)
    throw new UsageError(`there is no setting ${key}; \`hearth config get\` lists them`);
  return entry;
}

export function printValue(value: SettingEntry["value"] | undefined): string {
  if (Array.isArray(value)) return value.join(", ");
  return value === null || value === undefined ? "" : String(value);
}
