import { processesWithHome } from "../process-table.ts";
import type { ProcessWorld } from "../world.ts";
import type { LaunchedTask } from "./launch.ts";
import type { Held, Place, PlaceWish } from "./place.ts";
import { RunningTask } from "./running-task.ts";
import { TaskProcesses } from "./task-processes.ts";

export interface SettledTask {
  readonly running: RunningTask;
  readonly processes: TaskProcesses;
}

export interface Settling extends Pick<Held, "cgroup"> {
  /** What starts a session of its own and loses its parent is in no group that we know: found by other marks. */
  strays(): readonly number[];
}

/** What is made in a home of its own: everything there has that home's name, but for those whom bubblewrap keeps together. */
export function settlingAt({ confinement }: ProcessWorld, { cgroup, home }: Held): Settling {
  return { cgroup, strays: () => (confinement.bubblewrap === undefined ? processesWithHome(home) : []) };
}

/** Takes charge of a process that has been launched: from here on its end gives everything back, and the next life knows of it. */
export async function settleIn(
  world: ProcessWorld,
  wish: PlaceWish,
  { cgroup, strays }: Settling,
  place: Place,
  launched: LaunchedTask,
): Promise<SettledTask> {
  const { sandboxId, mode, task } = wish;
  const { startTicks } = launched;
  const processes = new TaskProcesses({
    leader: launched.leader,
    startTicks,
    killLeader: () => launched.killLeader(),
    group: () => launched.group,
    cgroup,
    freezesByCgroup: world.cgroups?.canFreeze ?? false,
    removeDirectories: (directories) => world.spawner.removeDirectories(directories),
    strays,
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
