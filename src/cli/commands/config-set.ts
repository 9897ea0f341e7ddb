import type { Command } from "../command.ts";
import { textArgs, UsageError } from "../command.ts";
import { EXIT } from "../exit-code.ts";
import { printJson } from "../print.ts";
import { printValue } from "./config-get.ts";

export const configSet: Command = {
  name: "set",
  summary: "change settings of the running daemon: all of them, or none",
  details: "It lasts until the daemon ends; the file stays as it is.",
  args: [{ name: "<key=value...>", about: "such as cpu=2 or tasks.slots=16; a value may be JSON" }],
  examples: ["hearth config set cpu=2 mem=2048 timeout=5"],
  async run({ io, isJson, isQuiet, connect, signal }, { args }) {
    const patch = patchOf(textArgs(args[0]));
    const { settings, notes } = await connect().setConfig(patch, { signal });
    const changed = settings.filter(({ key }) => Object.hasOwn(patch, key));
    if (isJson) {
      const values = Object.fromEntries(changed.map(({ key, value }) => [key, value]));
      await printJson(io, { settings: values, notes });
      return EXIT.done.code;
    }
    if (!isQuiet) await io.out(changed.map(({ key, value }) => `${key} = ${printValue(value)}\n`).join(""));
    for (const note of notes) io.err(`hearth: ${note}`);
    return EXIT.done.code;
  },
};

function patchOf(assignments: readonly string[]): Record<string, unknown> {
  const patch: [string, unknown][] = assignments.map((assignment) => {
    const at = assignment.indexOf("=");
    if (at < 1) throw new UsageError(`"${assignment}" is no key=value`);
    return [assignment.slice(0, at), valueOf(assignment.slice(at + 1))];
  });
  return Object.fromEntries(patch);
}

/** Numbers, truth values and JSON as such; anything else is a text. */
function valueOf(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return text;
  }
}
