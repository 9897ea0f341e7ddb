import type { LaunchedTask } from "./launch.ts";
import type { Held, Place, PlaceWish } from "./place.ts";
import { factsOf, processesWithHome } from "./process-table.ts";
import type { SandboxRecord } from "./record.ts";
import { RunningTask } from "./running-task.ts";
import { TaskProcesses } from "./task-processes.ts";
import type { ProcessWorld } from "./world.ts";

export interface SettledTask {
  readonly running: RunningTask;
  readonly processes: TaskProcesses;
}

/** Takes charge of a process that has been launched: from here on its end gives everything back, and the next life knows of it. */
export async function settleIn(
  world: ProcessWorld,
  wish: PlaceWish & Pick<SandboxRecord, "mode">,
  held: Held,
  place: Place,
  launched: LaunchedTask,
): Promise<SettledTask> {
  const { sandboxId, mode, task } = wish;
  const startTicks = factsOf(launched.leader)?.startTicks;
  const processes = new TaskProcesses({
    leader: launched.leader,
    startTicks,
    group: () => launched.group,
    cgroup: held.cgroup,
    freezesByCgroup: world.cgroups?.canFreeze ?? false,
    // What starts a session of its own and loses its parent is in no group that we know, but has its home's name.
    strays: () => (world.confinement.bubblewrap === undefined ? processesWithHome(held.home) : []),
  });
  place.onRelease(() => {
    world.live.delete(sandboxId);
    world.records.remove(sandboxId);
  });
  const { memoryBytes } = task.resources;
  const running = new RunningTask({ launched, processes, memoryBytes, release: () => place.release() });
  world.live.set(sandboxId, running);
  try {
    world.records.write({ sandboxId, mode, leader: launched.leader, startTicks: startTicks ?? 0 });
  } catch (error) {
    await running.stop(0);
    throw error;
  }
  return { running, processes };
}
