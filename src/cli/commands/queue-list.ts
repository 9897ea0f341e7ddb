import type { Queue } from "../../client/index.ts";
import type { Command } from "../command.ts";
import { EXIT } from "../exit-code.ts";
import { formatDuration, printJson, printTable } from "../print.ts";

export const queueList: Command = {
  name: "list",
  summary: "show the queue, and the jobs that this host holds",
  async run({ io, isJson, isQuiet, connect, signal }) {
    const queue = await connect().queue({ signal });
    if (isJson) await printJson(io, queue);
    else if (isQuiet) await io.out(queue.jobs.map(({ jobId }) => `${jobId}\n`).join(""));
    else {
      io.err(stateLine(queue));
      await printTable(io, HEADS, queue.jobs.map(rowOf));
    }
    return EXIT.done.code;
  },
};

const HEADS = ["JOB", "METHOD", "TYPE", "STEP", "TRY", "SANDBOX", "AGE"];

function stateLine({ isOn, state, reason, streams, figures }: Queue): string {
  if (!isOn) return "hearth: this host takes no jobs: the stream door is not open (docs/stream.md)";
  const why = reason === undefined ? "" : `: ${reason}`;
  return `hearth: ${state}${why}; ${streams.join(", ")}; ${figures.committed} completed, ${figures.deadLettered} put aside`;
}

function rowOf(job: Queue["jobs"][number]): string[] {
  const { jobId, method, executerType, step, end, attempt, sandboxId, ageMs } = job;
  return [
    jobId,
    method ?? "-",
    executerType ?? "-",
    end === undefined ? step : `${step} (${end})`,
    String(attempt),
    sandboxId ?? "-",
    formatDuration(ageMs),
  ];
}
