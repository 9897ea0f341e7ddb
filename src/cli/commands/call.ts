import { createReadStream, statSync } from "node:fs";
import { Readable } from "node:stream";
import type { CallInput, CallStream, HearthClient } from "../../client/index.ts";
import { HearthError } from "../../client/index.ts";
import { ISOLATION_CLASSES, NETWORK_POLICIES } from "../../core/index.ts";
import type { Command, Context, Invocation } from "../command.ts";
import { numberOption, textArg, textOption, UsageError } from "../command.ts";
import { callExitCodeOf, EXIT } from "../exit-code.ts";
import { formatDuration, printJson } from "../print.ts";
import { printProblem } from "../problem.ts";
import { watchProgress } from "../progress.ts";

export const call: Command = {
  name: "call",
  summary: "call a task and print its answer",
  details:
    "The input is sent byte for byte, and the answer comes back as it is made. The first call of a task starts it; it then\n" +
    "stays warm for the next.",
  args: [
    { name: "<task>", about: "an image, or the id of a task folder" },
    { name: "[input]", about: "the task's input, as it stands" },
  ],
  options: [
    { flags: "-i, --input <file>", about: "read the input from a file, or from standard input with -" },
    { flags: "--cpu <cores>", about: "cores the task may use, one decimal (default 1)" },
    { flags: "--mem <mb>", about: "memory the task may use, in MB (default 128)" },
    { flags: "--gpus <count>", about: "GPUs the task gets" },
    {
      flags: "--gpu-memory <mb>",
      about:
        "memory the task may use of each, in MB: a share where the host allows it (default: whole cards)",
    },
    {
      flags: "--isolation <class>",
      about: "at least this strong",
      choices: ["default", ...ISOLATION_CLASSES],
    },
    {
      flags: "--network <policy>",
      about: "what the task may reach",
      choices: ["default", ...NETWORK_POLICIES],
    },
    { flags: "--sgx", about: "run with SGX" },
    {
      flags: "--session <id>",
      about:
        "run on the server of that session and no other; `new` opens one and prints its id on standard error",
    },
    { flags: "--path <path>", about: "path at the task's server (default /)" },
    { flags: "--content-type <type>", about: "of the input (default application/json)" },
    { flags: "--queue-timeout <seconds>", about: "wait for room at most this long" },
    { flags: "--run-timeout <seconds>", about: "wait for the answer at most this long" },
    { flags: "--idempotency-key <key>", about: "make the call safe to repeat" },
    { flags: "--detach", about: "do not wait: print the run's id" },
  ],
  examples: [
    "hearth call echo '{\"n\": 1}'",
    "echo hello | hearth call account/name:tag -i -",
    "hearth call big:latest -i data.json --cpu 2 --mem 1024",
  ],
  async run(context, invocation) {
    const client = context.connect();
    const input = callOf(context, invocation);
    try {
      return invocation.options["detach"] === true
        ? await detach(context, client, input)
        : await callAndPrint(context, client, input);
    } catch (error) {
      if (!(error instanceof HearthError)) throw error;
      await printProblem(context, error);
      return callExitCodeOf(error);
    }
  },
};

function callOf(context: Context, invocation: Invocation): CallInput {
  const [image, input] = invocation.args;
  const inputFile = textOption(invocation, "input");
  if (input !== undefined && inputFile !== undefined) {
    throw new UsageError("the input is given twice: as an argument and by --input");
  }
  return {
    image: textArg(image) ?? "",
    input: inputFile === undefined ? (textArg(input) ?? "") : openInput(context, inputFile),
    contentType: textOption(invocation, "contentType"),
    cpu: numberOption(invocation, "cpu"),
    mem: numberOption(invocation, "mem"),
    gpus: numberOption(invocation, "gpus"),
    gpuMemory: numberOption(invocation, "gpuMemory"),
    isolation: textOption(invocation, "isolation") as CallInput["isolation"],
    network: textOption(invocation, "network") as CallInput["network"],
    sgx: invocation.options["sgx"] === true ? true : undefined,
    session: textOption(invocation, "session"),
    path: textOption(invocation, "path"),
    queueTimeoutMs: toMs(numberOption(invocation, "queueTimeout")),
    runTimeoutMs: toMs(numberOption(invocation, "runTimeout")),
    idempotencyKey: textOption(invocation, "idempotencyKey"),
    signal: context.signal,
  };
}

function openInput(context: Context, file: string): ReadableStream<Uint8Array> {
  if (file !== "-" && statSync(file, { throwIfNoEntry: false })?.isFile() !== true) {
    throw new UsageError(`there is no file ${file}`);
  }
  const readable = file === "-" ? context.io.stdin : createReadStream(file);
  return Readable.toWeb(readable);
}

function toMs(seconds: number | undefined): number | undefined {
  return seconds === undefined ? undefined : Math.round(seconds * 1000);
}

async function detach(context: Context, client: HearthClient, input: CallInput): Promise<number> {
  const run = await client.callAsync(input);
  if (context.isJson) await printJson(context.io, run);
  else await context.io.out(`${run.id}\n`);
  return EXIT.done.code;
}

async function callAndPrint(context: Context, client: HearthClient, input: CallInput): Promise<number> {
  const { io } = context;
  const progress = context.isQuiet ? undefined : watchProgress(context, client, input.image ?? "");
  let answer: CallStream;
  try {
    answer = await client.callStream(input);
  } finally {
    progress?.stop();
  }
  if (answer.sessionId !== undefined && !context.isJson) io.err(`hearth: session ${answer.sessionId}`);
  if (context.isJson) await printJson(io, await collected(answer));
  else await stream(context, answer);
  if (answer.isSuccess) return EXIT.done.code;
  if (!context.isQuiet) io.err(`hearth: the task answered with status ${answer.status}`);
  return EXIT.no.code;
}

async function stream({ io, isQuiet }: Context, answer: CallStream): Promise<void> {
  if (answer.start === "cold" && !isQuiet && io.isErrTty) {
    io.err(
      `hearth: started the task in ${formatDuration(answer.waitedMs ?? 0)}; it stays warm for the next call`,
    );
  }
  let last: number | undefined;
  for await (const chunk of answer.body as unknown as AsyncIterable<Uint8Array>) {
    last = chunk.at(-1) ?? last;
    await io.out(chunk);
  }
  const isLineOpen = last !== undefined && last !== "\n".charCodeAt(0);
  if (io.isOutTty && isLineOpen) await io.out("\n");
}

/** The answer as one object; a body that is no text comes as base64. */
async function collected(answer: CallStream): Promise<Record<string, unknown>> {
  const { body, headers: _, ...head } = answer;
  const bytes = Buffer.from(await new Response(body).arrayBuffer());
  const text = bytes.toString("utf8");
  const isText = Buffer.from(text, "utf8").equals(bytes);
  return { ...head, ...(isText ? { body: text } : { bodyBase64: bytes.toString("base64") }) };
}
