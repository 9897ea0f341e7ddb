import type { Sandbox, WaitingCall } from "../../client/index.ts";
import type { Command } from "../command.ts";
import { EXIT } from "../exit-code.ts";
import { formatBytes, formatCores, formatDuration, printJson, printTable } from "../print.ts";

export const ps: Command = {
  name: "ps",
  summary: "list warm tasks, and what waits",
  examples: ["hearth ps", "hearth ps --json", "hearth ps --quiet"],
  async run({ io, isJson, isQuiet, connect, signal }) {
    const client = connect();
    const [{ sandboxes }, { waiting }] = await Promise.all([
      client.sandboxes({ signal }),
      client.waiting({ signal }),
    ]);
    if (isJson) await printJson(io, { sandboxes, waiting });
    else if (isQuiet) await io.out(sandboxes.map(({ id }) => `${id}\n`).join(""));
    else {
      await printTable(io, HEADS, sandboxes.map(rowOf));
      if (waiting.length > 0) await io.out("\n");
      if (waiting.length > 0)
        await printTable(io, ["WAITS", "CALLS", "SINCE", "WHY"], waiting.map(waitingRow));
    }
    return EXIT.done.code;
  },
};

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

function waitingRow({ image, callers, waitedMs, reason }: WaitingCall): string[] {
  return [image, String(callers), formatDuration(waitedMs), reason];
}
