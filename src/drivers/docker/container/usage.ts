import { readFile } from "node:fs/promises";
import type { SandboxUsage } from "../../../core/index.ts";
import type { Engine } from "../engine/engine.ts";
import { isRecord } from "../engine/json-lines.ts";

/**
 * What a container has used. Read from its cgroup where the daemon can see it (some 100 us, and nothing for the engine to do);
 * asked of the engine otherwise.
 */
export async function readUsage(
  engine: Engine,
  containerId: string,
  signal: AbortSignal,
): Promise<SandboxUsage> {
  const seen = engine.isLocal ? ((await readV1(containerId)) ?? (await readV2(containerId))) : undefined;
  return seen ?? (await askEngine(engine, containerId, signal));
}

const ROOT = "/sys/fs/cgroup";

/** cgroup v1 under the engine's own `cgroupfs` driver. */
async function readV1(id: string): Promise<SandboxUsage | undefined> {
  const cpuNs = await readNumber(`${ROOT}/cpuacct/docker/${id}/cpuacct.usage`);
  const memory = `${ROOT}/memory/docker/${id}`;
  const usedBytes = await readNumber(`${memory}/memory.usage_in_bytes`);
  if (cpuNs === undefined || usedBytes === undefined) return undefined;
  const inactiveBytes = await readField(`${memory}/memory.stat`, "total_inactive_file");
  return {
    cpuMs: cpuNs / 1e6,
    memoryBytes: Math.max(0, usedBytes - (inactiveBytes ?? 0)),
    memoryPeakBytes: await readNumber(`${memory}/memory.max_usage_in_bytes`),
  };
}

/** cgroup v2, under either driver. */
async function readV2(id: string): Promise<SandboxUsage | undefined> {
  for (const folder of [`${ROOT}/system.slice/docker-${id}.scope`, `${ROOT}/docker/${id}`]) {
    const cpuUs = await readField(`${folder}/cpu.stat`, "usage_usec");
    const usedBytes = await readNumber(`${folder}/memory.current`);
    if (cpuUs === undefined || usedBytes === undefined) continue;
    const inactiveBytes = await readField(`${folder}/memory.stat`, "inactive_file");
    return {
      cpuMs: cpuUs / 1000,
      memoryBytes: Math.max(0, usedBytes - (inactiveBytes ?? 0)),
      memoryPeakBytes: await readNumber(`${folder}/memory.peak`),
    };
  }
  return undefined;
}

async function askEngine(engine: Engine, id: string, signal: AbortSignal): Promise<SandboxUsage> {
  const stats: unknown = await engine.containers.stats(id, { signal });
  const memory = field(stats, "memory_stats");
  const details = field(memory, "stats");
  const inactiveBytes =
    count(field(details, "total_inactive_file")) ?? count(field(details, "inactive_file")) ?? 0;
  return {
    cpuMs: (count(field(field(field(stats, "cpu_stats"), "cpu_usage"), "total_usage")) ?? 0) / 1e6,
    memoryBytes: Math.max(0, (count(field(memory, "usage")) ?? 0) - inactiveBytes),
    memoryPeakBytes: count(field(memory, "max_usage")),
  };
}

async function readNumber(path: string): Promise<number | undefined> {
  const text = await readText(path);
  return text === undefined ? undefined : toNumber(text.trim());
}

/** A value from a file of `name value` lines. */
async function readField(path: string, name: string): Promise<number | undefined> {
  const line = (await readText(path))?.split("\n").find((text) => text.startsWith(`${name} `));
  return line === undefined ? undefined : toNumber(line.slice(name.length + 1));
}

async function readText(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, "utf8");
  } catch {
    // Not this hierarchy, not visible from here, or the container is gone: the next way to find out decides.
    return undefined;
  }
}

function toNumber(text: string): number | undefined {
  return /^\d+$/.test(text) ? Number(text) : undefined;
}

function field(value: unknown, name: string): unknown {
  return isRecord(value) ? value[name] : undefined;
}

function count(value: unknown): number | undefined {
  return typeof value === "number" && Number.isFinite(value) ? value : undefined;
}
