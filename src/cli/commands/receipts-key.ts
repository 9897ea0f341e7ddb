import type { Command } from "../command.ts";
import { EXIT } from "../exit-code.ts";
import { printJson } from "../print.ts";

export const receiptsKey: Command = {
  name: "key",
  summary: "print the public key that receipts are signed with",
  details:
    "Note it down while you trust the host: with it, what the host shows later can be checked against today.",
  examples: ["hearth receipts key > host.key"],
  async run({ io, isJson, connect, signal }) {
    const key = await connect().receiptKey({ signal });
    if (isJson) await printJson(io, key);
    else await io.out(`${key.publicKey}\n`);
    return EXIT.done.code;
  },
};
