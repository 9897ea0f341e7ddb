import type { Command } from "../command.ts";
import type { SettingFlag } from "../parts.ts";
import { CONFIG_OPTION, settingOption, settingsInput } from "./serve.ts";

/** The settings that the web API reads: its own, and those that it shares with the daemon. */
const SECTIONS = ["api", "stream", "log", "state_dir"];

/** The command's options are the settings themselves, so it is made from them. */
export function apiCommand(settings: readonly SettingFlag[]): Command {
  const flags = settings.filter(({ key }) =>
    SECTIONS.some((name) => key === name || key.startsWith(`${name}.`)),
  );
  return {
    name: "api",
    summary: "serve the web API that clients of the executer tracker speak to",
    details:
      "Clients submit tasks here, and hosts that run `hearth serve` with the stream door take them from the same Redis and\n" +
      "artifact store. Without a key it listens on this host alone, and the key is 1234.",
    options: [CONFIG_OPTION, ...flags.map(settingOption)],
    examples: [
      "hearth api",
      "hearth api --config hearth.yaml",
      "HEARTH_API_KEY=… hearth api --api-host 0.0.0.0",
    ],
    isDaemon: true,
    run: (context, invocation) => context.parts.api(settingsInput(invocation, flags)),
  };
}
