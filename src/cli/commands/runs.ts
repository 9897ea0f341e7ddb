import type { Run } from "../../client/index.ts";
import type { Command } from "../command.ts";
import { numberOption } from "../command.ts";
import { EXIT } from "../exit-code.ts";
import { printJson, printTable } from "../print.ts";

export const runs: Command = {
  name: "runs",
  summary: "list recorded calls, newest first",
  details: "Calls are recorded that were made with --detach or --idempotency-key.",
  options: [{ flags: "--limit <number>", about: "at most this many (default 100)" }],
  async run({ io, isJson, isQuiet, connect, signal }, invocation) {
    const list = await connect().runs({ limit: numberOption(invocation, "limit"), signal });
    if (isJson) await printJson(io, list);
    else if (isQuiet) await io.out(list.runs.map(({ id }) => `${id}\n`).join(""));
    else await printTable(io, ["ID", "TASK", "STATE", "STARTED", "ANSWER"], list.runs.map(rowOf));
    return EXIT.done.code;
  },
};

function rowOf({ id, image, state, createdAt, answer, problem }: Run): string[] {
  const end = answer === undefined ? (problem?.code ?? "-") : `${answer.status}, ${answer.bytes} bytes`;
  return [id, image, state, createdAt, end];
}
