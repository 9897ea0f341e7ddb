import { readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import type { Leftover, SandboxId } from "../../core/index.ts";
import { asId, ExecutorError } from "../../core/index.ts";
import { sweepNetworks } from "./network/index.ts";
import { isSameProcess, processesWithHome } from "./process-table.ts";
import type { SandboxRecord } from "./record.ts";
import { TaskProcesses } from "./task-processes.ts";
import type { ProcessWorld } from "./world.ts";

/**
 * What earlier lives of this owner left running: found by the names of their cgroups and by their records. What has no
 * process any more is swept on the way.
 */
export async function findLeftovers(world: ProcessWorld): Promise<readonly Leftover[]> {
  const records = new Map(world.records.list().map((record) => [record.sandboxId, record]));
  const homes = listHomes(world);
  const names = new Set([...records.keys(), ...(world.cgroups?.names() ?? []), ...homes]);
  const leftovers: Leftover[] = [];
  for (const name of names) {
    const sandboxId = asId<"sandbox">(name);
    if (world.live.has(sandboxId) || world.probing.has(name)) continue;
    const processes = processesOf(world, sandboxId, records.get(name));
    if (processes.list().length > 0) leftovers.push(leftover(world, sandboxId, processes));
    else await removeTraces(world, sandboxId, processes);
  }
  await removeNetworks(world);
  return leftovers;
}

function leftover(world: ProcessWorld, sandboxId: SandboxId, processes: TaskProcesses): Leftover {
  return {
    sandboxId,
    // Nobody takes it over, so nobody needs to know what it was made for.
    task: undefined,
    imageDigest: "",
    gpuIds: [],
    isFrozen: world.cgroups?.open(sandboxId)?.isFrozen() ?? false,
    async adopt() {
      const reason = "a task of the process driver ends with the daemon that started it";
      throw new ExecutorError("SANDBOX_LOST", { sandboxId, reason });
    },
    async reap(signal) {
      signal.throwIfAborted();
      if (!(await processes.sweep())) {
        const reason = "some of its processes cannot be killed";
        throw new ExecutorError("ENGINE_FAILED", { sandboxId, reason });
      }
      await removeTraces(world, sandboxId, processes);
      await removeNetworks(world);
    },
  };
}

/** Never a process that only happens to have the same id: without a cgroup, the leader must be the very one of the record. */
function processesOf(
  world: ProcessWorld,
  sandboxId: SandboxId,
  record: SandboxRecord | undefined,
): TaskProcesses {
  const cgroup = world.cgroups?.open(sandboxId);
  const isAlive = record !== undefined && isSameProcess(record.leader, record.startTicks);
  return new TaskProcesses({
    leader: isAlive ? record.leader : NO_PROCESS,
    startTicks: record?.startTicks,
    group: () => undefined,
    cgroup,
    freezesByCgroup: world.cgroups?.canFreeze ?? false,
    strays: () => processesWithHome(join(world.homes, sandboxId)),
  });
}

/** No process has this id, and no group either. */
const NO_PROCESS = -1;

async function removeTraces(
  world: ProcessWorld,
  sandboxId: SandboxId,
  processes: TaskProcesses,
): Promise<void> {
  await processes.remove();
  rmSync(join(world.homes, sandboxId), { recursive: true, force: true });
  world.records.remove(sandboxId);
}

/** Those that no process is in: a network has its owner's name, and no sandbox's. */
async function removeNetworks({ owner, networks }: ProcessWorld): Promise<void> {
  try {
    await sweepNetworks(owner, (index) => networks?.isLive(index) ?? false);
  } catch (error) {
    const reason = "the network of an earlier sandbox cannot be removed";
    throw new ExecutorError("ENGINE_FAILED", { reason }, { cause: error });
  }
}

function listHomes(world: ProcessWorld): readonly string[] {
  try {
    return readdirSync(world.homes);
  } catch {
    return [];
  }
}
