import type { Job, Sandbox, WaitingCall } from "../../client/index.ts";
import type { Command } from "../command.ts";
import { EXIT } from "../exit-code.ts";
import type { Io } from "../io.ts";
import { formatBytes, formatCores, formatDuration, printJson, printTable } from "../print.ts";

export const ps: Command = {
  name: "ps",
  summary: "list warm tasks and jobs, and what waits",
  examples: ["hearth ps", "hearth ps --json", "hearth ps --quiet"],
  async run({ io, isJson, isQuiet, connect, signal }) {
    const client = connect();
    const [{ sandboxes }, { jobs }, { waiting }] = await Promise.all([
      client.sandboxes({ signal }),
      client.jobs({ signal }),
      client.waiting({ signal }),
    ]);
    if (isJson) await printJson(io, { sandboxes, jobs, waiting });
    else if (isQuiet) await io.out(idsOf(sandboxes, jobs).join(""));
    else await printTables(io, sandboxes, jobs, waiting);
    return EXIT.done.code;
  },
};

function idsOf(sandboxes: readonly Sandbox[], jobs: readonly Job[]): readonly string[] {
  return [...sandboxes.map(({ id }) => id), ...jobs.map(({ sandboxId }) => sandboxId)].map((id) => `${id}\n`);
}

async function printTables(
  io: Io,
  sandboxes: readonly Sandbox[],
  jobs: readonly Job[],
  waiting: readonly WaitingCall[],
): Promise<void> {
  // A host that only runs jobs is not shown an empty table of tasks first.
  if (sandboxes.length > 0 || jobs.length === 0) await printTable(io, HEADS, sandboxes.map(rowOf));
  if (jobs.length > 0) {
    if (sandboxes.length > 0) await io.out("\n");
    await printTable(io, JOB_HEADS, jobs.map(jobRow));
  }
  if (waiting.length === 0) return;
  await io.out("\n");
  await printTable(io, ["WAITS", "KIND", "COUNT", "SINCE", "WHY"], waiting.map(waitingRow));
}

const JOB_HEADS = ["JOB", "TRY", "TASK", "STATE", "CLASS", "CPU", "MEM", "GPUS", "RAN", "SANDBOX"];

function jobRow(job: Job): string[] {
  const { jobId, attempt, image, serves, state, isolation, resources, ranMs, sandboxId } = job;
  return [
    jobId,
    String(attempt),
    serves ?? image,
    state,
    isolation ?? "-",
    formatCores(resources.cpuMillis),
    formatBytes(resources.memoryBytes),
    gpusOf(resources),
    ranMs === undefined ? "-" : formatDuration(ranMs),
    sandboxId,
  ];
}

const HEADS = [
  "ID",
  "TASK",
  "STATE",
  "CLASS",
  "CPU",
  "MEM",
  "GPUS",
  "SLOTS",
  "SESSIONS",
  "CALLS",
  "AGE",
  "IDLE",
];

function rowOf(sandbox: Sandbox): string[] {
  const { id, image, tier, isolation, resources, slotsUsed, slots, sessions, calls, ageMs, idleMs } = sandbox;
  return [
    id,
    image,
    tier,
    isolation ?? "-",
    formatCores(resources.cpuMillis),
    formatBytes(resources.memoryBytes),
    gpusOf(resources),
    `${slotsUsed}/${slots}`,
    String(sessions),
    String(calls),
    formatDuration(ageMs),
    idleMs === undefined ? "-" : formatDuration(idleMs),
  ];
}

function gpusOf({ gpuCount, gpuMemoryBytes }: Sandbox["resources"]): string {
  if (gpuCount === 0) return "-";
  return gpuMemoryBytes === 0 ? String(gpuCount) : `${gpuCount} x ${formatBytes(gpuMemoryBytes)}`;
}

function waitingRow({ image, callers, waitedMs, reason, jobIds }: WaitingCall): string[] {
  const kind = jobIds === undefined ? "call" : "job";
  return [image, kind, String(callers), formatDuration(waitedMs), reason];
}
