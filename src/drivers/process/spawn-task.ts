import { chownSync, mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import type { SandboxSpec } from "../../core/index.ts";
import { ExecutorError } from "../../core/index.ts";
import type { Cgroup } from "./cgroup/cgroup.ts";
import { commandLine } from "./command-line.ts";
import type { LaunchedTask } from "./launch.ts";
import { launch } from "./launch.ts";
import { factsOf, processesWithHome, socketInodesOf } from "./process-table.ts";
import { RunningTask } from "./running-task.ts";
import { listenersOn } from "./socket-table.ts";
import type { FoundTask } from "./task-folders.ts";
import { TaskProcesses } from "./task-processes.ts";
import { taskPath } from "./tools.ts";
import type { ProcessWorld } from "./world.ts";
import { MOST_PROCESSES } from "./world.ts";

export interface SpawnedTask {
  readonly launched: LaunchedTask;
  readonly running: RunningTask;
  readonly port: number;
  readonly launchedAtMs: number;
  /** Whether the one who listens on `port` is this task. */
  isListener(): boolean;
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
    place.release();
    throw error;
  }
}

/** What a task holds besides its processes, given back in the reverse order, once. */
class Place {
  readonly #undo: (() => void)[] = [];

  onRelease(step: () => void): void {
    this.#undo.push(step);
  }

  release(): void {
    for (const step of this.#undo.splice(0).reverse()) step();
  }
}

interface Held {
  readonly port: number;
  readonly uid: number | undefined;
  readonly home: string;
  readonly cgroup: Cgroup | undefined;
}

async function makePlace(place: Place, world: ProcessWorld, spec: SandboxSpec): Promise<Held> {
  const { ports, uids } = world;
  const port = await ports.take();
  place.onRelease(() => ports.giveBack(port));
  const uid = uids?.take();
  if (uid !== undefined) place.onRelease(() => uids?.giveBack(uid));
  const home = makeHome(world, spec, uid, place);
  const cgroup = makeCgroup(world, spec);
  place.onRelease(() => cgroup?.remove());
  return { port, uid, home, cgroup };
}

async function spawnAt(
  { port, uid, home, cgroup }: Held,
  place: Place,
  world: ProcessWorld,
  spec: SandboxSpec,
  found: FoundTask,
): Promise<SpawnedTask> {
  const launchedAtMs = performance.now();
  const usesBubblewrap = world.confinement.bubblewrap !== undefined;
  const launched = await launch({
    argv: commandLine(world.confinement, {
      folder: found.folder,
      command: found.task.command,
      environment: { ...found.task.env, PATH: taskPath(), HOME: home, LANG: "C.UTF-8", PORT: String(port) },
      joinFiles: cgroup?.joinFiles ?? [],
      uid,
      scratchBytes: world.scratchBytes,
      readOnlyPaths: world.readOnlyPaths,
    }),
    folder: found.folder,
    usesBubblewrap,
    uid: uid ?? process.getuid?.() ?? 0,
  });
  const startTicks = factsOf(launched.leader)?.startTicks;
  const processes = new TaskProcesses({
    leader: launched.leader,
    startTicks,
    group: () => launched.group,
    cgroup,
    freezesByCgroup: world.cgroups?.canFreeze ?? false,
    // What starts a session of its own and loses its parent is in no group that we know, but has its home's name.
    strays: () => (usesBubblewrap ? [] : processesWithHome(home)),
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
  return { launched, running, port, launchedAtMs, isListener: () => listens(port, ownUid, processes) };
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

/**
 * A port that accepts proves nothing by itself: any program of the host may have taken it. The socket's uid tells where each
 * sandbox has its own; otherwise the socket must be held by one of its processes, where we may look at them.
 */
function listens(port: number, uid: number | undefined, processes: TaskProcesses): boolean {
  const listeners = listenersOn(port);
  if (uid !== undefined) return listeners.some((listener) => listener.uid === uid);
  const held = new Set(processes.list().flatMap(socketInodesOf));
  return held.size === 0 || listeners.some(({ inode }) => held.has(inode));
}
