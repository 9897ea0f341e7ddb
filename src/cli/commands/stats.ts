import type { Gpu, Host } from "../../client/index.ts";
import type { Command } from "../command.ts";
import { EXIT } from "../exit-code.ts";
import type { Io } from "../io.ts";
import { formatBytes, formatCores, printJson, printTable, visible } from "../print.ts";

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
      await printGpus(io, host);
    }
    return EXIT.done.code;
  },
};

function rowsOf({
  cpuMillis,
  memoryBytes,
  cpuPercent,
  memoryPercent,
  disk,
  capacity,
  reserved,
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
  if (disk !== undefined) {
    const { totalBytes, availableBytes, capacityBytes, reservedBytes } = disk;
    const used = ((totalBytes - availableBytes) / totalBytes) * 100;
    rows.push([
      "disk",
      formatBytes(totalBytes),
      `${used.toFixed(0)} %`,
      formatBytes(capacityBytes),
      formatBytes(reservedBytes),
    ]);
  }
  if (capacity.gpuCount > 0) {
    rows.push(["GPUs", "", "", String(capacity.gpuCount), String(reserved.gpuCount)]);
  }
  return rows;
}

async function printGpus(io: Io, { gpus, gpuTrouble }: Host): Promise<void> {
  if (gpus.length > 0) {
    await io.out("\n");
    await printTable(io, ["GPU", "MODEL", "MEMORY", "USED", "COMPUTES", "STATE", "UUID"], gpus.map(gpuRow));
  }
  if (gpuTrouble !== undefined) await io.out(`\nGPUs: ${visible(gpuTrouble)}\n`);
}

function gpuRow(gpu: Gpu): string[] {
  const { id, index, model, memoryBytes, memoryUsedBytes, computePercent } = gpu;
  const used = memoryBytes === 0 ? 0 : (memoryUsedBytes / memoryBytes) * 100;
  return [
    String(index),
    model,
    formatBytes(memoryBytes),
    `${used.toFixed(0)} %`,
    `${computePercent.toFixed(0)} %`,
    gpuState(gpu),
    id,
  ];
}

function gpuState({ isHealthy, reason, isBusyOutside, holders }: Gpu): string {
  if (!isHealthy) return `unusable: ${reason ?? "unknown"}`;
  if (holders.length > 0) return holders.length === 1 ? "1 task" : `${holders.length} tasks`;
  return isBusyOutside ? "in use from outside" : "free";
}
