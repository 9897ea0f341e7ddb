import { readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import type { JobLeftover, Leftover, SandboxId } from "../../../core/index.ts";
import { asId, ExecutorError } from "../../../core/index.ts";
import { sweepNetworks } from "../network/index.ts";
import { isSameProcess, processesOfWorker, processesWithHome } from "../process-table.ts";
import type { ProcessWorld } from "../world.ts";
import type { SandboxRecord } from "./record.ts";
import { TaskProcesses } from "./task-processes.ts";

/**
 * What earlier lives of this owner left running: found by the names of their cgroups and by their records. What has no
 * process any more is swept on the way.
 */
export async function findLeftovers(world: ProcessWorld): Promise<readonly Leftover[]> {
  const found = await findRemains(world, "call");
  return found.map((remains) => ({
    ...whatCanBeDone(world, remains),
    isFrozen: world.cgroups?.open(remains.sandboxId)?.isFrozen() ?? false,
  }));
}

/** The same of jobs and workers. A sandbox without a record that can be read counts as a call's. */
export async function findJobLeftovers(world: ProcessWorld): Promise<readonly JobLeftover[]> {
  const found = await findRemains(world, "job");
  return found.map((remains) => ({ ...whatCanBeDone(world, remains), mark: undefined }));
}

interface Remains {
  readonly sandboxId: SandboxId;
  readonly processes: TaskProcesses;
}

async function findRemains(world: ProcessWorld, mode: SandboxRecord["mode"]): Promise<readonly Remains[]> {
  const records = new Map(world.records.list().map((record) => [record.sandboxId, record]));
  const homes = listHomes(world);
  const names = new Set([...records.keys(), ...(world.cgroups?.names() ?? []), ...homes]);
  const found: Remains[] = [];
  for (const name of names) {
    const sandboxId = asId<"sandbox">(name);
    const record = records.get(name);
    if (world.live.has(sandboxId) || world.probing.has(name) || (record?.mode ?? "call") !== mode) continue;
    const processes = processesOf(world, sandboxId, record);
    if (processes.list().length > 0) found.push({ sandboxId, processes });
    else await removeTraces(world, sandboxId, processes);
  }
  await removeNetworks(world);
  return found;
}

/** Nobody takes it over, so nobody needs to know what it was made for. */
function whatCanBeDone(world: ProcessWorld, { sandboxId, processes }: Remains) {
  return {
    sandboxId,
    task: undefined,
    imageDigest: "",
    gpuIds: [],
    async adopt(): Promise<never> {
      const reason = "a task of the process driver ends with the daemon that started it";
      throw new ExecutorError("SANDBOX_LOST", { sandboxId, reason });
    },
    async reap(signal: AbortSignal): Promise<void> {
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
    strays: () => [...processesWithHome(join(world.homes, sandboxId)), ...processesOfWorker(sandboxId)],
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
