import type { SessionList } from "../../client/index.ts";
import type { Command } from "../command.ts";
import { EXIT } from "../exit-code.ts";
import { formatDuration, printJson, printTable } from "../print.ts";

export const sessionList: Command = {
  name: "list",
  summary: "list the sessions that keep sandboxes",
  async run({ io, isJson, connect, signal }) {
    const list = await connect().sessions({ signal });
    if (isJson) await printJson(io, list);
    else
      await printTable(
        io,
        ["SESSION", "TASK", "SANDBOX", "CALLS", "AGE", "ENDS IN"],
        list.sessions.map(rowOf),
      );
    return EXIT.done.code;
  },
};

/** Of an id only the beginning is shown: whoever has all of it may use the session. */
function rowOf({
  ref,
  image,
  sandboxId,
  calls,
  ageMs,
  expiresInMs,
}: SessionList["sessions"][number]): string[] {
  const name = ref === undefined ? "(held)" : `${ref}…`;
  return [name, image, sandboxId, String(calls), formatDuration(ageMs), formatDuration(expiresInMs)];
}
