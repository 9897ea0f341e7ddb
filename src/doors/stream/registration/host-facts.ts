import { execFile } from "node:child_process";
import { readFile } from "node:fs/promises";
import type { HostCapacity } from "../../../core/index.ts";

const LSCPU_MS = 5_000;
const MOST_BYTES = 65_536;

export interface HostFacts {
  readonly cpu_count_logical: number;
  readonly cpu_count_physical: number;
  readonly memory: number;
  readonly cpu_info: string;
}

/**
 * What this host can give: its limits count, not what lies under them, since a container's neighbours are not ours to offer.
 *
 * @param capacity of the daemon's own container, if it is in one.
 */
export async function readHostFacts(capacity: HostCapacity): Promise<HostFacts> {
  const [info, cpus] = await Promise.all([lscpu(), readFile("/proc/cpuinfo", "utf8").catch(() => "")]);
  const logical = Math.max(1, Math.floor(capacity.cpuMillis / 1000));
  return {
    cpu_count_logical: logical,
    cpu_count_physical: Math.max(1, Math.min(logical, countCores(cpus) ?? logical)),
    memory: Math.max(1, Math.floor(capacity.memoryBytes)),
    // Never null: the server's schema of 2023 refuses that.
    cpu_info: info === "" ? cpus.slice(0, MOST_BYTES) : info,
  };
}

/** Different cores of different sockets; `undefined` where the kernel does not say. */
export function countCores(cpuinfo: string): number | undefined {
  const cores = new Set<string>();
  for (const block of cpuinfo.split("\n\n")) {
    const socket = /^physical id\s*:\s*(\d+)/m.exec(block)?.[1];
    const core = /^core id\s*:\s*(\d+)/m.exec(block)?.[1];
    if (socket !== undefined && core !== undefined) cores.add(`${socket} ${core}`);
  }
  return cores.size === 0 ? undefined : cores.size;
}

function lscpu(): Promise<string> {
  const options = {
    timeout: LSCPU_MS,
    maxBuffer: MOST_BYTES,
    env: { LC_ALL: "C", PATH: process.env["PATH"] },
  };
  return new Promise((resolve) => {
    execFile("lscpu", [], options, (error, stdout) => resolve(error === null ? stdout : ""));
  });
}
