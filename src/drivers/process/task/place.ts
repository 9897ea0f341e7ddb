import { chownSync, mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import type { SandboxId, TaskSpec } from "../../../core/index.ts";
import type { Cgroup, CgroupLimits, CgroupPlan } from "../cgroup/cgroup.ts";
import type { TaskNetwork } from "../network/index.ts";
import type { NetworkEntrance } from "../spawner/index.ts";
import type { ProcessWorld } from "../world.ts";
import type { SandboxRecord } from "./record.ts";
import { clearCgroup } from "./task-processes.ts";

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
  readonly mode: SandboxRecord["mode"];
}

export interface Held {
  /** `undefined` on the host's network, and for a job that nobody reaches and that reaches nobody. */
  readonly network: TaskNetwork | undefined;
  readonly entrance: NetworkEntrance;
  readonly uid: number | undefined;
  readonly home: string;
  readonly cgroup: Cgroup | undefined;
  /** How that is made, which who starts the task does: it takes the kernel a while. */
  readonly plan: CgroupPlan | undefined;
}

/** Makes all that one sandbox is put into. What was made before a rejection is given back with the place. */
export async function makePlace(place: Place, world: ProcessWorld, wish: PlaceWish): Promise<Held> {
  const { uids } = world;
  const { network, entrance } = await makeNetwork(place, world, wish);
  const uid = uids?.take();
  if (uid !== undefined) place.onRelease(() => uids?.giveBack(uid));
  const home = makeHome(world, wish, uid, place);
  const plan = world.cgroups?.plan(wish.sandboxId, limitsOf(wish), wish.mode === "call");
  giveBackCgroup(place, plan?.cgroup);
  return { network, entrance, uid, home, plan, cgroup: plan?.cgroup };
}

/** Nobody calls a job: one that has no way out needs no cable either, only a network of its own with loopback alone. */
async function makeNetwork(
  place: Place,
  { networks }: ProcessWorld,
  { mode, task }: PlaceWish,
): Promise<Pick<Held, "network" | "entrance">> {
  if (networks === undefined) return { network: undefined, entrance: { type: "host" } };
  const policy = networks.rules.resolve(task.network);
  if (mode === "job" && !networks.rules.hasWayOut(policy))
    return { network: undefined, entrance: { type: "new" } };
  const network = await networks.make(policy);
  place.onRelease(() => network.remove());
  return { network, entrance: { type: "file", path: network.path } };
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

/**
 * With the place goes the group. After a start that failed, as where the spawner has ended, the last of it may still be dying in
 * there; what cannot be removed even so is the next life's.
 */
export function giveBackCgroup(place: Place, cgroup: Cgroup | undefined): void {
  if (cgroup === undefined) return;
  place.onRelease(async () => {
    if (!cgroup.remove()) await clearCgroup(cgroup);
  });
}

export function limitsOf({ task, processes }: PlaceWish): CgroupLimits {
  const { cpuMillis, memoryBytes } = task.resources;
  return { cpuMillis, memoryBytes, processes };
}
