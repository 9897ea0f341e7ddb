import type { SandboxSpec } from "../../core/index.ts";
import { cardEnvironment } from "./cards.ts";
import { commandLine } from "./command-line.ts";
import type { LaunchedTask } from "./launch.ts";
import { launch } from "./launch.ts";
import type { Listening } from "./listening.ts";
import { listeningOf } from "./listening.ts";
import { TASK_PORT } from "./network/index.ts";
import type { Held } from "./place.ts";
import { makePlace, Place } from "./place.ts";
import type { RunningTask } from "./running-task.ts";
import { settleIn, settlingAt } from "./settle-in.ts";
import type { FoundTask } from "./task-folders.ts";
import { taskPath } from "./tools.ts";
import type { ProcessWorld } from "./world.ts";
import { MOST_PROCESSES } from "./world.ts";

export interface SpawnedTask extends Listening {
  readonly launched: LaunchedTask;
  readonly running: RunningTask;
  readonly launchedAtMs: number;
}

/** Makes everything that a task needs and starts its process. After a rejection nothing is left. */
export async function spawnTask(
  world: ProcessWorld,
  spec: SandboxSpec,
  found: FoundTask,
): Promise<SpawnedTask> {
  const place = new Place();
  try {
    return await spawnAt(place, world, spec, found);
  } catch (error) {
    await place.release();
    throw error;
  }
}

async function spawnAt(
  place: Place,
  world: ProcessWorld,
  spec: SandboxSpec,
  found: FoundTask,
): Promise<SpawnedTask> {
  const wish = { ...spec, processes: MOST_PROCESSES, mode: "call" } as const;
  const held = await makePlace(place, world, wish);
  const { network, uid } = held;
  const port = network === undefined ? await takePort(place, world) : TASK_PORT;
  const launchedAtMs = performance.now();
  const launched = await launchIn(held, port, world, spec, found);
  const { running, processes } = await settleIn(world, wish, settlingAt(world, held), place, launched);
  const ownUid = world.uids?.isOwn === true ? uid : undefined;
  const listening = listeningOf(network, { port, leader: launched.leader, processes, ownUid });
  return { ...listening, launched, running, launchedAtMs };
}

/** On the host's network a port is what tells sandboxes apart. */
async function takePort(place: Place, { ports }: ProcessWorld): Promise<number> {
  const port = await ports.take();
  place.onRelease(() => ports.giveBack(port));
  return port;
}

function launchIn(
  { network, uid, home, cgroup }: Held,
  port: number,
  world: ProcessWorld,
  { gpuIds }: SandboxSpec,
  { folder, task }: FoundTask,
): Promise<LaunchedTask> {
  const argv = commandLine(world.confinement, {
    folder,
    command: task.command,
    environment: {
      ...task.env,
      PATH: taskPath(),
      HOME: home,
      LANG: "C.UTF-8",
      PORT: String(port),
      ...cardEnvironment(gpuIds),
    },
    entrance: network?.entrance ?? [],
    joinFiles: cgroup?.joinFiles ?? [],
    uid,
    scratchBytes: world.scratchBytes,
    readOnlyPaths: world.readOnlyPaths,
    devices: world.cardNodes(gpuIds),
    resolvConf: network?.policy === "egress" ? world.networks?.rules.resolvConf : undefined,
  });
  const usesBubblewrap = world.confinement.bubblewrap !== undefined;
  return launch({ argv, folder, usesBubblewrap, uid: uid ?? process.getuid?.() ?? 0 });
}
