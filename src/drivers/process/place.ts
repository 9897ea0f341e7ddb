import { chownSync, mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import type { SandboxId, TaskSpec } from "../../core/index.ts";
import { ExecutorError } from "../../core/index.ts";
import type { Cgroup } from "./cgroup/cgroup.ts";
import type { TaskNetwork } from "./network/index.ts";
import type { ProcessWorld } from "./world.ts";

type Undo = () => void | Promise<void>;

/** What a task holds besides its processes, given back in the reverse order, each piece once. */
export class Place {
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

export interface PlaceWish {
  readonly sandboxId: SandboxId;
  readonly task: TaskSpec;
  /** Processes and threads that it may have. */
  readonly processes: number;
}

export interface Held {
  /** `undefined` on the host's network. */
  readonly network: TaskNetwork | undefined;
  readonly uid: number | undefined;
  readonly home: string;
  readonly cgroup: Cgroup | undefined;
}

/** Makes all that one sandbox is put into. What was made before a rejection is given back with the place. */
export async function makePlace(place: Place, world: ProcessWorld, wish: PlaceWish): Promise<Held> {
  const { uids } = world;
  const network = await world.networks?.make(world.networks.rules.resolve(wish.task.network));
  place.onRelease(() => network?.remove());
  const uid = uids?.take();
  if (uid !== undefined) place.onRelease(() => uids?.giveBack(uid));
  const home = makeHome(world, wish, uid, place);
  const cgroup = makeCgroup(world, wish);
  place.onRelease(() => {
    cgroup?.remove();
  });
  return { network, uid, home, cgroup };
}

/** Inside bubblewrap, the private `/tmp`; without it, a folder of the host that goes with the sandbox. */
function makeHome(
  world: ProcessWorld,
  { sandboxId }: PlaceWish,
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

/** Its own group, where there are such. @throws {@link ExecutorError} ENGINE_FAILED. */
export function makeCgroup(
  world: ProcessWorld,
  { sandboxId, task, processes }: PlaceWish,
): Cgroup | undefined {
  const { cpuMillis, memoryBytes } = task.resources;
  try {
    return world.cgroups?.create(sandboxId, { cpuMillis, memoryBytes, processes });
  } catch (error) {
    throw new ExecutorError("ENGINE_FAILED", { reason: "its cgroup could not be made" }, { cause: error });
  }
}
