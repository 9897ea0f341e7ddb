import type { FleetHost } from "../../client/index.ts";
import type { Command } from "../command.ts";
import { EXIT } from "../exit-code.ts";
import { formatBytes, formatCores, formatDuration, printJson, printTable } from "../print.ts";

export const fleet: Command = {
  name: "fleet",
  summary: "list the hosts that share the queue of jobs",
  examples: ["hearth fleet", "hearth fleet --json"],
  async run({ io, isJson, isQuiet, connect, signal }) {
    const found = await connect().fleet({ signal });
    if (isJson) await printJson(io, found);
    else if (isQuiet) await io.out(found.hosts.map(({ hostId }) => `${hostId}\n`).join(""));
    else
      await printTable(
        io,
        HEADS,
        found.hosts.map((host) => rowOf(host, found.self)),
      );
    return EXIT.done.code;
  },
};

const HEADS = ["HOST", "STATE", "RUNS", "WAITS", "CPU", "MEM", "GPUS", "WARM", "TYPES", "SEEN"];

/** What is held of what there is; this host has a star. */
function rowOf(host: FleetHost, self: string): string[] {
  const { capacity, reserved, jobs } = host;
  return [
    host.hostId === self ? `${host.name} *` : host.name,
    host.state,
    String(jobs.running),
    String(jobs.waiting),
    `${formatCores(reserved.cpuMillis)}/${formatCores(capacity.cpuMillis)}`,
    `${formatBytes(reserved.memoryBytes)}/${formatBytes(capacity.memoryBytes)}`,
    capacity.gpuCount === 0 ? "-" : `${reserved.gpuCount}/${capacity.gpuCount}`,
    String(host.warm.length),
    host.executerTypes.join(", "),
    `${formatDuration(Math.max(0, Date.now() - host.seenAtMs))} ago`,
  ];
}
