import type { SandboxSpec } from "../../../core/index.ts";
import { cardEnvironment } from "../cards.ts";
import type { FoundTask } from "../folders/task-folders.ts";
import { TASK_PORT } from "../network/index.ts";
import type { Listening } from "../readiness/listening.ts";
import { listeningOf } from "../readiness/listening.ts";
import { taskPath } from "../tools.ts";
import type { ProcessWorld } from "../world.ts";
import { MOST_PROCESSES } from "../world.ts";
import type { LaunchedTask } from "./launch.ts";
import type { Program } from "./launch-in.ts";
import { launchIn } from "./launch-in.ts";
import type { Held } from "./place.ts";
import { makePlace, Place } from "./place.ts";
import type { RunningTask } from "./running-task.ts";
import { settleIn, settlingAt } from "./settle-in.ts";

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
  const launched = await launchIn(world, held, programOf(held, port, spec, found));
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

function programOf(held: Held, port: number, { gpuIds }: SandboxSpec, { folder, task }: FoundTask): Program {
  return {
    folder,
    command: task.command,
    environment: {
      ...task.env,
      PATH: taskPath(),
      HOME: held.home,
      LANG: "C.UTF-8",
      PORT: String(port),
      ...cardEnvironment(gpuIds),
    },
    gpuIds,
    startFolder: folder,
  };
}
