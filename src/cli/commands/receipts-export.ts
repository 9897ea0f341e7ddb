import type { Command } from "../command.ts";
import { numberOption, UsageError } from "../command.ts";
import { EXIT } from "../exit-code.ts";

export const receiptsExport: Command = {
  name: "export",
  summary: "print the chain of receipts, for `hearth verify`",
  details:
    "One JSON object per line, as it is signed: keep it as it is. A range is widened to whole signed blocks.",
  options: [
    { flags: "--from <seq>", about: "the first entry, by its number (default: the oldest)" },
    { flags: "--to <seq>", about: "the last entry (default: the newest)" },
  ],
  examples: ["hearth receipts export > receipts.ndjson"],
  async run({ io, connect, signal }, invocation) {
    const range = { from: numberOption(invocation, "from"), to: numberOption(invocation, "to") };
    if (range.from !== undefined && range.to !== undefined && range.from > range.to)
      throw new UsageError("--from is after --to: there is nothing between them");
    for await (const line of connect().receipts({ ...range, signal })) await io.out(`${line}\n`);
    return EXIT.done.code;
  },
};
