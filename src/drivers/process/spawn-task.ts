import { chownSync, mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import type { SandboxSpec } from "../../core/index.ts";
import { ExecutorError } from "../../core/index.ts";
import { cardEnvironment } from "./cards.ts";
import type { Cgroup } from "./cgroup/cgroup.ts";
import { commandLine } from "./command-line.ts";
import type { LaunchedTask } from "./launch.ts";
import { launch } from "./launch.ts";
import type { Listening } from "./listening.ts";
import { listeningOf } from "./listening.ts";
import type { TaskNetwork } from "./network/index.ts";
import { TASK_PORT } from "./network/index.ts";
import { factsOf, processesWithHome } from "./process-table.ts";
import { RunningTask } from "./running-task.ts";
import type { FoundTask } from "./task-folders.ts";
import { TaskProcesses } from "./task-processes.ts";
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
    return await spawnAt(await makePlace(place, world, spec), place, world, spec, found);
  } catch (error) {
    await place.release();
    throw error;
  }
}

type Undo = () => void | Promise<void>;

/** What a task holds besides its processes, given back in the reverse order, each piece once. */
class Place {
  readonly #undo: Undo[] = [];

  onRelease(step: Undo): void {
    this.#undo.push(step);
  }

  /** After a rejection it goes on, when called again, with the step that failed. */
  async release(): Promise<void> {
    for (let step = this.#undo.at(-1); step !== undefined; step = this.#undo.at(-1)) {
      await step();
      this.#undo.pop();
    }
  }
}

interface Held {
  readonly port: number;
  readonly network: TaskNetwork | undefined;
  readonly uid: number | undefined;
  readonly home: string;
  readonly cgroup: Cgroup | undefined;
}

async function makePlace(place: Place, world: ProcessWorld, spec: SandboxSpec): Promise<Held> {
  const { uids } = world;
  const network = await world.networks?.make(world.networks.rules.resolve(spec.task.network));
  place.onRelease(() => network?.remove());
  const port = network === undefined ? await takePort(place, world) : TASK_PORT;
  const uid = uids?.take();
  if (uid !== undefined) place.onRelease(() => uids?.giveBack(uid));
  const home = makeHome(world, spec, uid, place);
  const cgroup = makeCgroup(world, spec);
  place.onRelease(() => {
    cgroup?.remove();
  });
  return { port, network, uid, home, cgroup };
}

/** On the host's network a port is what tells sandboxes apart. */
async function takePort(place: Place, { ports }: ProcessWorld): Promise<number> {
  const port = await ports.take();
  place.onRelease(() => ports.giveBack(port));
  return port;
}

async function spawnAt(
  held: Held,
  place: Place,
  world: ProcessWorld,
  spec: SandboxSpec,
  found: FoundTask,
): Promise<SpawnedTask> {
  const { port, network, uid, home, cgroup } = held;
  const launchedAtMs = performance.now();
  const launched = await launchIn(held, world, spec, found);
  const startTicks = factsOf(launched.leader)?.startTicks;
  const processes = new TaskProcesses({
    leader: launched.leader,
    startTicks,
    group: () => launched.group,
    cgroup,
    freezesByCgroup: world.cgroups?.canFreeze ?? false,
    // What starts a session of its own and loses its parent is in no group that we know, but has its home's name.
    strays: () => (world.confinement.bubblewrap === undefined ? processesWithHome(home) : []),
  });
  place.onRelease(() => {
    world.live.delete(spec.sandboxId);
    world.records.remove(spec.sandboxId);
  });
  const { memoryBytes } = spec.task.resources;
  const running = new RunningTask({ launched, processes, memoryBytes, release: () => place.release() });
  world.live.set(spec.sandboxId, running);
  await recordOrStop(world, spec, { leader: launched.leader, startTicks: startTicks ?? 0 }, running);
  const ownUid = world.uids?.isOwn === true ? uid : undefined;
  const listening = listeningOf(network, { port, leader: launched.leader, processes, ownUid });
  return { ...listening, launched, running, launchedAtMs };
}

function launchIn(
  { port, network, uid, home, cgroup }: Held,
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

async function recordOrStop(
  world: ProcessWorld,
  { sandboxId }: SandboxSpec,
  first: { readonly leader: number; readonly startTicks: number },
  running: RunningTask,
): Promise<void> {
  try {
    world.records.write({ sandboxId, ...first });
  } catch (error) {
    await running.stop(0);
    throw error;
  }
}

/** Inside bubblewrap, the private `/tmp`; without it, a folder of the host that goes with the sandbox. */
function makeHome(
  world: ProcessWorld,
  { sandboxId }: SandboxSpec,
  uid: number | undefined,
  place: Place,
): string {
  if (world.confinement.bubblewrap !== undefined) return "/tmp";
  const home = join(world.homes, sandboxId);
  mkdirSync(home, { recursive: true, mode: 0o700 });
  place.onRelease(() => rmSync(home, { recursive: true, force: true }));
  if (uid !== undefined) chownSync(home, uid, uid);
  return home;
}

function makeCgroup(world: ProcessWorld, { sandboxId, task }: SandboxSpec): Cgroup | undefined {
  const { cpuMillis, memoryBytes } = task.resources;
  try {
    return world.cgroups?.create(sandboxId, { cpuMillis, memoryBytes, processes: MOST_PROCESSES });
  } catch (error) {
    throw new ExecutorError("ENGINE_FAILED", { reason: "its cgroup could not be made" }, { cause: error });
  }
}
