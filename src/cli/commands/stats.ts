import type { Host } from "../../client/index.ts";
import type { Command } from "../command.ts";
import { EXIT } from "../exit-code.ts";
import { formatBytes, formatCores, printJson, printTable } from "../print.ts";

export const stats: Command = {
  name: "stats",
  summary: "show the host, its limits, and what tasks hold of it",
  details: "With --json: the contract's eleven figures, and all else under `host`.",
  async run({ io, isJson, connect, signal }) {
    const client = connect();
    const [host, figures] = await Promise.all([client.host({ signal }), client.stats({ signal })]);
    if (isJson) await printJson(io, { ...figures, host });
    else {
      await io.out(
        `${host.state}, driver ${host.driver} (${host.isolation.join(", ")}), hearth ${host.version}\n` +
          `${host.running} calls run, ${host.waiting} wait, ${host.sandboxes} warm tasks\n\n`,
      );
      await printTable(io, ["", "HOST", "IN USE", "FOR TASKS", "RESERVED"], rowsOf(host));
    }
    return EXIT.done.code;
  },
};

function rowsOf({
  cpuMillis,
  memoryBytes,
  cpuPercent,
  memoryPercent,
  capacity,
  reserved,
  gpuModel,
}: Host): string[][] {
  const rows = [
    [
      "CPU cores",
      formatCores(cpuMillis),
      `${cpuPercent.toFixed(0)} %`,
      formatCores(capacity.cpuMillis),
      formatCores(reserved.cpuMillis),
    ],
    [
      "memory",
      formatBytes(memoryBytes),
      `${memoryPercent.toFixed(0)} %`,
      formatBytes(capacity.memoryBytes),
      formatBytes(reserved.memoryBytes),
    ],
  ];
  if (capacity.gpuCount > 0) {
    rows.push([gpuModel || "GPUs", "", "", String(capacity.gpuCount), String(reserved.gpuCount)]);
  }
  return rows;
}
