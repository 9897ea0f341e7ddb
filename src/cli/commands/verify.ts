import { createReadStream, readFileSync } from "node:fs";
import { resolve } from "node:path";
import type { ChainReport, Receipt } from "../../core/index.ts";
import type { VerifyOptions } from "../../std/receipts/index.ts";
import { ChainVerifier, publicKeyOf, verifyReceipt } from "../../std/receipts/index.ts";
import type { Command, Context, Invocation } from "../command.ts";
import { textArg, textOption, UsageError } from "../command.ts";
import { exactLines } from "../exact-lines.ts";
import { EXIT } from "../exit-code.ts";
import { printJson, visible } from "../print.ts";
import { readReceipt } from "../read-receipt.ts";
import { reportLines } from "../report-lines.ts";

export const verify: Command = {
  name: "verify",
  summary: "check a chain of receipts, or one receipt",
  details:
    "Without a file the daemon's whole chain is fetched and checked; a file needs no daemon. Exits with 0 if nothing was changed, left out or added, with 1 otherwise, and names the first bad entry; a file without any receipts is wrong use (2). A chain that was made anew as a whole has another key: give the one that you noted down.",
  args: [
    {
      name: "[file]",
      about: "what `receipts export` or `runs show --receipt` printed; - reads standard input",
    },
  ],
  options: [
    { flags: "--key <key>", about: "the public key that it must be signed with, or a file that holds it" },
    {
      flags: "--must-hold <hash>",
      about: "a hash that must be in it, such as the head of a receipt kept elsewhere",
    },
    { flags: "--receipt <file>", about: "a receipt kept elsewhere: the chain must say the same" },
  ],
  examples: [
    "hearth verify",
    "hearth verify receipts.ndjson --key host.key --receipt receipt.json",
    "hearth verify receipt.json",
  ],
  async run(context, invocation) {
    const publicKey = keyOf(context, invocation);
    const kept = await keptReceipt(context, invocation, publicKey);
    const options = { publicKey, mustHold: hashOf(invocation), receipt: kept };
    const file = textArg(invocation.args[0]);
    const lines =
      file === undefined ? context.connect().receipts({ signal: context.signal }) : read(context, file);
    const { receipt, faults, rest } = await readReceipt(lines);
    if (kept !== undefined && (receipt !== undefined || faults.length > 0))
      throw new UsageError("--receipt is for a chain, and what is to be checked is a receipt");
    if (receipt !== undefined) return await checkReceipt(context, receipt, faults, options);
    return faults.length > 0
      ? await refuseReceipt(context, faults)
      : await checkChain(context, rest, options, file);
  },
};

/** @param file what the lines are read from, unless a daemon tells them. */
async function checkChain(
  context: Context,
  lines: AsyncIterable<string>,
  options: VerifyOptions,
  file: string | undefined,
): Promise<number> {
  const verifier = new ChainVerifier(options);
  for await (const line of lines) verifier.feed(line);
  const report: ChainReport = verifier.end();
  if (file !== undefined && !verifier.isOfChain)
    throw new UsageError(
      `${file === "-" ? "standard input" : file} holds neither a chain of receipts nor a whole receipt: expected what \`receipts export\` or \`runs show --receipt\` printed`,
    );
  if (context.isJson) await printJson(context.io, report);
  else await context.io.out(`${reportLines(report, options.publicKey).map(visible).join("\n")}\n`);
  return report.isWhole ? EXIT.done.code : EXIT.no.code;
}

async function checkReceipt(
  { io, isJson }: Context,
  receipt: Receipt,
  unreadable: readonly string[],
  { publicKey, mustHold }: VerifyOptions,
): Promise<number> {
  const { prev, head } = receipt.checkpoint;
  const isHeld = mustHold === undefined || mustHold === head || mustHold === prev;
  const faults = [
    ...unreadable,
    ...verifyReceipt(receipt, publicKey),
    ...(isHeld ? [] : [`the hash ${mustHold} is not in it`]),
  ];
  const { seq, id } = receipt.entry;
  const isWhole = faults.length === 0;
  if (isJson)
    await printJson(io, { isWhole, faults, seq, id, isPinned: publicKey === receipt.key.publicKey });
  else {
    const verdict = isWhole
      ? [
          `genuine: the receipt of run ${id}, entry ${seq}`,
          "checked   its entry, place and signature; --receipt checks it against its chain",
        ]
      : faults.map((fault) => `forged: ${fault}`);
    const remark =
      publicKey === undefined ? [`key       ${receipt.key.publicKey}, taken from the receipt itself`] : [];
    await io.out(`${[...verdict, ...remark].map(visible).join("\n")}\n`);
  }
  return isWhole ? EXIT.done.code : EXIT.no.code;
}

/** A receipt that the chain is held against; it must be genuine itself. */
async function keptReceipt(
  context: Context,
  invocation: Invocation,
  publicKey: string | undefined,
): Promise<Receipt | undefined> {
  const file = textOption(invocation, "receipt");
  if (file === undefined) return undefined;
  const { receipt, faults } = await readReceipt(read(context, file));
  if (receipt === undefined) throw new UsageError("--receipt needs a file with one receipt");
  const [fault] = [...faults, ...verifyReceipt(receipt, publicKey)];
  if (fault !== undefined) throw new UsageError(`--receipt: it is not genuine itself: ${fault}`);
  return receipt;
}

/** Says that a text is meant to be a receipt and is none. */
async function refuseReceipt({ io, isJson }: Context, faults: readonly string[]): Promise<number> {
  if (isJson) await printJson(io, { isWhole: false, faults, isPinned: false });
  else await io.out(`${faults.map((fault) => `no whole receipt: ${fault}`).join("\n")}\n`);
  return EXIT.no.code;
}

function read({ cwd, io, signal }: Context, file: string): AsyncIterable<string> {
  return exactLines(file === "-" ? io.stdin : createReadStream(resolve(cwd, file), { signal }));
}

/** A key as text, or a file that holds one. */
function keyOf({ cwd }: Context, invocation: Invocation): string | undefined {
  const given = textOption(invocation, "key");
  if (given === undefined) return undefined;
  if (publicKeyOf(given) !== undefined) return given;
  const text = given === "" ? "" : keyText(resolve(cwd, given));
  if (publicKeyOf(text) === undefined)
    throw new UsageError("--key needs a public key as `receipts key` prints it, or a file that holds one");
  return text;
}

function keyText(path: string): string {
  try {
    return readFileSync(path, "utf8").trim();
  } catch (error) {
    const { code } = error as { readonly code?: unknown };
    throw new UsageError(
      code === "ENOENT"
        ? `--key is neither a public key nor a file: there is no ${path}`
        : `--key: ${path} cannot be read (${String(code)})`,
    );
  }
}

function hashOf(invocation: Invocation): string | undefined {
  const hash = textOption(invocation, "mustHold")?.toLowerCase();
  if (hash !== undefined && !/^[0-9a-f]{64}$/.test(hash))
    throw new UsageError("--must-hold needs 64 hexadecimal digits");
  if (hash !== undefined && /^0+$/.test(hash))
    throw new UsageError("--must-hold: 64 zeros stand before every chain, and show nothing");
  return hash;
}
