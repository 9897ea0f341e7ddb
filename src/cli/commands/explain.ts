import type { ExplainWish, Verdict } from "../../client/index.ts";
import { ISOLATION_CLASSES, NETWORK_POLICIES } from "../../core/index.ts";
import type { Command } from "../command.ts";
import { numberOption, textArg, textOption } from "../command.ts";
import { EXIT } from "../exit-code.ts";
import { formatDuration, printJson } from "../print.ts";

export const explain: Command = {
  name: "explain",
  summary: "say what would become of a call now, and why",
  details:
    "Nothing is started or changed by asking. Exits with 0 if the call would run now, with 4 if it would wait or be refused.",
  args: [{ name: "<task>", about: "an image, or the id of a task folder" }],
  options: [
    { flags: "--cpu <cores>", about: "cores the task would use, one decimal (default 1)" },
    { flags: "--mem <mb>", about: "memory the task would use, in MB (default 128)" },
    { flags: "--gpus <count>", about: "GPUs the task would get" },
    { flags: "--gpu-memory <mb>", about: "memory of each GPU, in MB (default: whole cards)" },
    {
      flags: "--isolation <class>",
      about: "at least this strong",
      choices: ["default", ...ISOLATION_CLASSES],
    },
    {
      flags: "--network <policy>",
      about: "what the task would reach",
      choices: ["default", ...NETWORK_POLICIES],
    },
    { flags: "--sgx", about: "with SGX" },
  ],
  examples: ["hearth explain echo", "hearth explain big:latest --cpu 2 --mem 1024"],
  async run(context, invocation) {
    const verdict = await context.connect().explain({
      image: textArg(invocation.args[0]) ?? "",
      cpu: numberOption(invocation, "cpu"),
      mem: numberOption(invocation, "mem"),
      gpus: numberOption(invocation, "gpus"),
      gpuMemory: numberOption(invocation, "gpuMemory"),
      isolation: textOption(invocation, "isolation") as ExplainWish["isolation"],
      network: textOption(invocation, "network") as ExplainWish["network"],
      sgx: invocation.options["sgx"] === true ? true : undefined,
      signal: context.signal,
    });
    if (context.isJson) await printJson(context.io, verdict);
    else await context.io.out(`${linesOf(verdict).join("\n")}\n`);
    return verdict.type === "waits" || verdict.type === "refused" ? EXIT.refused.code : EXIT.done.code;
  },
};

function linesOf(verdict: Verdict): readonly string[] {
  switch (verdict.type) {
    case "warm":
      return [`runs at once: ${verdict.reason}`];
    case "starts":
    case "wakes":
      return [
        `runs now: ${verdict.reason}`,
        ...verdict.freeze.map(({ sandboxId, image }) => `  freezes  ${sandboxId}  ${image}`),
        ...verdict.evict.map(({ sandboxId, image }) => `  removes  ${sandboxId}  ${image}`),
      ];
    case "waits":
      return [`waits: ${verdict.reason}`, ...waitLines(verdict)];
    case "refused":
      return [`${verdict.problem.retry === "never" ? "never" : "refused"}: ${verdict.reason}`];
  }
}

function waitLines({
  callersAhead,
  demandsAhead,
  busy,
  expectedMs,
}: Verdict & { readonly type: "waits" }): readonly string[] {
  const expected = expectedMs === undefined ? "nobody can tell" : `some ${formatDuration(expectedMs)}`;
  return [
    `  for      ${expected}`,
    `  behind   ${callersAhead} callers of the same task, ${demandsAhead} wishes for room`,
    ...busy.map(({ sandboxId, image }) => `  busy     ${sandboxId}  ${image}`),
  ];
}
