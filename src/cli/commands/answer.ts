import { HearthError } from "../../client/index.ts";
import type { Command } from "../command.ts";
import { textArg } from "../command.ts";
import { callExitCodeOf, EXIT } from "../exit-code.ts";
import { printProblem } from "../problem.ts";

export const answer: Command = {
  name: "answer",
  summary: "wait for a recorded call to end, and print its answer",
  details: "Ends with the codes of `call`.",
  args: [{ name: "<run>", about: "the id that `call --detach` printed" }],
  options: [{ flags: "--no-wait", about: "do not wait: fail if it still runs" }],
  examples: ["hearth answer $(hearth call slow --detach)"],
  async run(context, { args, options }) {
    const { io, signal } = context;
    const client = context.connect();
    const runId = textArg(args[0]) ?? "";
    try {
      if (options["wait"] !== false) {
        for await (const run of client.followRun(runId, { signal })) if (run.state !== "running") break;
      }
      const { bytes, isSuccess, status } = await client.answer(runId, { signal });
      await io.out(bytes);
      if (!isSuccess && !context.isQuiet) io.err(`hearth: the task answered with status ${status}`);
      return isSuccess ? EXIT.done.code : EXIT.no.code;
    } catch (error) {
      if (!(error instanceof HearthError)) throw error;
      await printProblem(context, error);
      return callExitCodeOf(error);
    }
  },
};
