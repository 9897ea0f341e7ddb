import { join } from "node:path";
import type { JobTask } from "../../client/index.ts";
import { JobApiClient } from "../../client/index.ts";
import { eitherSignal } from "../../std/either-signal.ts";
import { settledWithin } from "../../std/settled-within.ts";
import type { Command, Context, Invocation } from "../command.ts";
import { listOption, textArg, textOption } from "../command.ts";
import { EXIT } from "../exit-code.ts";
import { printJson } from "../print.ts";
import { jobApiAddress } from "../submit/api-address.ts";
import { checkIsFree, fetchOutput } from "../submit/fetch-output.ts";
import { followTask, printLiveLog } from "../submit/follow-task.ts";
import { makeJobInput, parseParameters } from "../submit/job-input.ts";
import { lastWords } from "../submit/last-words.ts";
import { tellLongWait } from "../submit/long-wait.ts";
import { forTerminal } from "../task-output.ts";

/** How long a task that was killed may take to say that it is over, and its output to come. */
const KILL_MS = 60_000;

export const submit: Command = {
  name: "submit",
  summary: "submit a task to the web API, wait for it and fetch its result",
  details:
    "The input is a folder, or a zip archive that is sent as it is. Parameters become its `input.json`. What the task prints\n" +
    "is shown while it runs, if the daemon that runs it can be asked (-H); if no host begins it for some seconds, what that\n" +
    "daemon knows of the hosts is said. Ctrl-C kills the task and fetches what there is; a second one only ends this program.",
  args: [
    { name: "<method>", about: "such as `math.matmul` or `md.gromacs.run_simulation`" },
    { name: "[input]", about: "a folder or a zip archive" },
  ],
  options: [
    {
      flags: "-p, --param <name=value>",
      about: "a parameter; JSON, or else a text (repeat it for more)",
      repeats: true,
    },
    { flags: "-o, --output <folder>", about: "where the result goes (default `hearth_output/<id>`)" },
    { flags: "--file <name>", about: "fetch only this artifact (repeat it for more)", repeats: true },
    { flags: "--pool <uuid>", about: "only hosts of this resource pool may run it" },
    { flags: "--detach", about: "do not wait: print the task's id" },
    { flags: "--api <url>", about: "the web API (or HEARTH_API_URL; default http://127.0.0.1:8000)" },
  ],
  examples: [
    "hearth submit test.sleep -p seconds=2",
    "hearth submit math.matmul ./matrices -o ./product",
    "hearth submit md.gromacs.run_simulation input.zip --detach",
  ],
  async run(context, invocation) {
    const api = new JobApiClient(jobApiAddress(textOption(invocation, "api"), context.env));
    const folder = textOption(invocation, "output");
    if (folder !== undefined) await checkIsFree(folder);
    const id = await send(context, api, invocation);
    if (invocation.options["detach"] === true) {
      if (context.isJson) await printJson(context.io, { id });
      else await context.io.out(`${id}\n`);
      return EXIT.done.code;
    }
    const target = folder ?? join(context.cwd, "hearth_output", id);
    return await waitFor(context, api, id, target, invocation);
  },
};

async function send(context: Context, api: JobApiClient, invocation: Invocation): Promise<string> {
  const { io, signal } = context;
  const [method, path] = invocation.args;
  const params = parseParameters(listOption(invocation, "param"));
  await using input = await makeJobInput(textArg(path), params, signal);
  const pool = textOption(invocation, "pool");
  const task = { method: textArg(method) ?? "", params: input.params, resourcePool: pool };
  const { id } = await api.submit(task, { signal });
  if (!context.isQuiet) io.status(`${id}: sending ${input.archive.size} bytes`);
  try {
    await api.uploadInput(id, input.archive, { signal });
  } catch (error) {
    // A task without input would wait for it for ever.
    await api.kill(id, { signal: AbortSignal.timeout(KILL_MS) }).catch(() => undefined);
    throw error;
  } finally {
    io.status("");
  }
  return id;
}

async function waitFor(
  context: Context,
  api: JobApiClient,
  id: string,
  folder: string,
  invocation: Invocation,
): Promise<number> {
  const over = new AbortController();
  const { signal } = context;
  const files = listOption(invocation, "file");
  const method = textArg(invocation.args[0]) ?? "";
  const wanted = { id, method, pool: textOption(invocation, "pool") };
  using either = eitherSignal(signal, over.signal);
  const onStatus = tellLongWait(context, wanted, either.signal);
  const live = { hasPrinted: false };
  const logs =
    context.isJson || context.isQuiet
      ? undefined
      : printLiveLog(context, context.connect(), id, over.signal, () => {
          live.hasPrinted = true;
        });
  try {
    const task = await followTask(context, api, id, signal, onStatus);
    await logsEnd(logs);
    const code = await finish(context, api, task, folder, files);
    if (logs !== undefined && !live.hasPrinted && task.status === "failed")
      await tellLastWords(context, folder);
    return code;
  } catch (error) {
    if (!signal.aborted) throw error;
    return await killed(context, api, id, folder, files);
  } finally {
    over.abort();
    await logs;
  }
}

/** What was printed last is still on its way when the status says that it is over. */
const LAST_WORDS_MS = 1000;

async function logsEnd(logs: Promise<void> | undefined): Promise<void> {
  if (logs === undefined) return;
  await settledWithin(logs, LAST_WORDS_MS);
}

/** Why it failed is in what it complained, which no daemon here could show while it ran. */
async function tellLastWords({ io }: Context, folder: string): Promise<void> {
  for (const line of await lastWords(folder)) io.err(`  ${io.isErrTty ? forTerminal(line) : line}`);
}

/** Ctrl-C: the task is killed, what it left is fetched, and the signal's own code is the answer. */
async function killed(
  context: Context,
  api: JobApiClient,
  id: string,
  folder: string,
  files: readonly string[],
): Promise<never> {
  const signal = AbortSignal.timeout(KILL_MS);
  context.io.err(`hearth: killing ${id}`);
  await api.kill(id, { signal });
  const task = await followTask(context, api, id, signal, () => undefined);
  await finish({ ...context, signal }, api, task, folder, files);
  throw context.signal.reason;
}

async function finish(
  { io, isJson, isQuiet, signal }: Context,
  api: JobApiClient,
  task: JobTask,
  folder: string,
  files: readonly string[],
): Promise<number> {
  const { task_id: id, status, detail, exit_code: exitCode } = task;
  const hasOutput = await fetchOutput(api, id, folder, files, signal);
  const output = hasOutput ? folder : undefined;
  if (isJson) await printJson(io, { id, status, exitCode, detail, output });
  else {
    if (!isQuiet) io.err(`hearth: ${id} ${status}${detail ? `: ${detail}` : ""}`);
    if (output !== undefined) await io.out(`${output}\n`);
  }
  return status === "success" ? EXIT.done.code : EXIT.no.code;
}
