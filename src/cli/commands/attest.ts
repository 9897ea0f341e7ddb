import { HearthError } from "../../client/index.ts";
import type { Command, Invocation } from "../command.ts";
import { numberOption, textArg, textOption } from "../command.ts";
import { callExitCodeOf, EXIT } from "../exit-code.ts";
import { formatDuration, printJson } from "../print.ts";
import { printProblem } from "../problem.ts";

export const attest: Command = {
  name: "attest",
  summary: "have an SGX task attest itself, and open a session with its server",
  details:
    "Prints the evidence as it came, and the session on standard error. `hearth call --session` then reaches that very server,\n" +
    "until the session has had no call for a while.",
  args: [{ name: "<task>", about: "an image" }],
  options: [
    { flags: "--cpu <cores>", about: "cores the task may use, one decimal (default 1)" },
    { flags: "--mem <mb>", about: "memory the task may use, in MB (default 128)" },
    { flags: "--path <path>", about: "path of the evidence at the task's server (default /ra)" },
    { flags: "--plain", about: "a task without SGX, to try things out" },
  ],
  examples: ["hearth attest account/enclave:1 > evidence", "hearth attest sgx-mock --json"],
  async run(context, invocation) {
    const { io, isJson, isQuiet, connect, signal } = context;
    try {
      const { session, evidence, contentType } = await connect().attest({ ...wishOf(invocation), signal });
      if (isJson) {
        const base64 = Buffer.from(evidence).toString("base64");
        await printJson(io, { session, evidence: { contentType, base64 } });
      } else await io.out(evidence);
      if (!isJson && !isQuiet) {
        io.err(
          `hearth: session ${session.id}, ends after ${formatDuration(session.expiresInMs)} without a call`,
        );
      }
      return EXIT.done.code;
    } catch (error) {
      if (!(error instanceof HearthError)) throw error;
      await printProblem(context, error);
      return callExitCodeOf(error);
    }
  },
};

function wishOf(invocation: Invocation) {
  return {
    image: textArg(invocation.args[0]) ?? "",
    cpu: numberOption(invocation, "cpu"),
    mem: numberOption(invocation, "mem"),
    path: textOption(invocation, "path"),
    sgx: invocation.options["plain"] === true ? false : undefined,
  };
}
