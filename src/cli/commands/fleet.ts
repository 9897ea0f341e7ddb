import type { Fleet, FleetHost } from "../../client/index.ts";
import type { Command } from "../command.ts";
import { EXIT } from "../exit-code.ts";
import type { Io } from "../io.ts";
import { formatBytes, formatCores, formatDuration, printJson, printTable } from "../print.ts";

/** Together with a host's name they fit a terminal of 100 columns. */
const LABELS_WIDTH = 32;
const WARM_WIDTH = 44;

export const fleet: Command = {
  name: "fleet",
  summary: "list the hosts that share the queue of jobs",
  details:
    "A star marks this host. Hosts that have labels or warm tasks come once more below, with as many of each as fit a line and how many more there are; --json has them all.",
  examples: ["hearth fleet", "hearth fleet --json"],
  async run({ io, isJson, isQuiet, connect, signal }) {
    const found = await connect().fleet({ signal });
    if (isJson) await printJson(io, found);
    else if (isQuiet) await io.out(found.hosts.map(({ hostId }) => `${hostId}\n`).join(""));
    else await printTables(io, found);
    return EXIT.done.code;
  },
};

async function printTables(io: Io, { hosts, self }: Fleet): Promise<void> {
  const rows = hosts.map((host) => rowOf(host, self));
  await printTable(io, HEADS, rows);
  const more = moreOf(hosts, self);
  if (more.length === 0) return;
  await io.out("\n");
  await printTable(io, ["HOST", "LABELS", "WARM"], more);
}

const HEADS = ["HOST", "STATE", "RUNS", "WAITS", "CPU", "MEM", "GPUS", "WARM", "TYPES", "SEEN"];

/** What is held of what there is; this host has a star. */
function rowOf(host: FleetHost, self: string): string[] {
  const { capacity, reserved, jobs } = host;
  return [
    nameOf(host, self),
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

function nameOf({ hostId, name }: FleetHost, self: string): string {
  return hostId === self ? `${name} *` : name;
}

/** What hosts say of themselves beside numbers; none of those that say nothing. */
function moreOf(hosts: readonly FleetHost[], self: string): string[][] {
  return hosts.flatMap((host) => {
    const labels = Object.entries(host.labels).map(([name, value]) => `${name}=${value}`);
    if (labels.length === 0 && host.warm.length === 0) return [];
    return [[nameOf(host, self), inShort(labels, LABELS_WIDTH), inShort(host.warm, WARM_WIDTH)]];
  });
}

/** As many as fit, and how many more there are. One that is too long by itself keeps its end, where images differ. */
function inShort(items: readonly string[], width: number): string {
  if (items.length === 0) return "-";
  const fitting = (count: number): string => {
    const left = items.length - count;
    return `${items.slice(0, count).join(", ")}${left === 0 ? "" : ` +${left}`}`;
  };
  let count = items.length;
  while (count > 1 && fitting(count).length > width) count -= 1;
  const text = fitting(count);
  return text.length > width ? `…${text.slice(1 - width)}` : text;
}
