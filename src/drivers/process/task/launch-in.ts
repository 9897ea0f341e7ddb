import type { SandboxSpec } from "../../../core/index.ts";
import { usersFile } from "../walls/bubblewrap.ts";
import type { CommandWish } from "../walls/command-line.ts";
import { commandLine } from "../walls/command-line.ts";
import type { Outside } from "../walls/kept-views.ts";
import { OOM_SCORE, OPEN_FILES } from "../walls/limits.ts";
import type { ProcessWorld } from "../world.ts";
import type { LaunchedTask } from "./launch.ts";
import { launch } from "./launch.ts";
import type { Held } from "./place.ts";

/** What runs in a place, and the cards that it is given. */
export interface Program
  extends Pick<CommandWish, "folder" | "command" | "environment" | "work" | "begin">,
    Pick<SandboxSpec, "gpuIds"> {
  /** Where it is started, outside. */
  readonly startFolder: string;
}

/** Starts a program in the place that was made for it. @throws {@link ExecutorError} SANDBOX_START_FAILED. */
export async function launchIn(world: ProcessWorld, held: Held, program: Program): Promise<LaunchedTask> {
  const { confinement, spawner } = world;
  const { startFolder, gpuIds, ...what } = program;
  const wish = { ...what, ...viewIn(held, world, gpuIds) };
  const outside = howIn(held);
  if (wish.uid !== undefined) {
    const launched = await confinement.views?.launch(wish, outside);
    if (launched !== undefined) return launched;
  }
  const leaderKind = confinement.bubblewrap === undefined ? "task" : "bubblewrap";
  return await launch(spawner, {
    ...outside,
    argv: commandLine(confinement, wish),
    folder: startFolder,
    leaderKind,
  });
}

/** What the spawner does before walls are made. */
function howIn({ entrance, plan, uid }: Held): Outside {
  return {
    network: entrance,
    plan,
    joinFiles: plan?.cgroup.joinFiles ?? [],
    openFiles: OPEN_FILES,
    oomScore: OOM_SCORE,
    users: usersFile(uid ?? process.getuid?.() ?? 0),
  };
}

/** What everything that runs in a place finds inside, whatever it runs. */
function viewIn(
  { network, uid, cgroup }: Held,
  world: ProcessWorld,
  gpuIds: SandboxSpec["gpuIds"],
): Omit<CommandWish, "folder" | "command" | "environment" | "work" | "begin"> {
  return {
    cgroups: cgroup?.joinFiles.length ?? 0,
    uid,
    settings: world.settings.view(),
    scratchBytes: world.scratchBytes,
    readOnlyPaths: world.readOnlyPaths,
    devices: world.cardNodes(gpuIds),
    resolvConf: network?.policy === "egress" ? world.networks?.rules.resolvConf : undefined,
  };
}
