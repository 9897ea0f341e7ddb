import { ExecutorError } from "../../../core/index.ts";
import type { Spawner } from "../spawner/index.ts";
import { launch } from "../task/launch.ts";
import { findTool } from "../tools.ts";
import { tryOut } from "../try-out.ts";
import { usersFile } from "./bubblewrap.ts";
import type { CommandWish } from "./command-line.ts";
import { commandLine } from "./command-line.ts";
import { KeptViews } from "./kept-views.ts";
import { OOM_SCORE, OPEN_FILES } from "./limits.ts";
import { untilDone } from "./run-once.ts";
import type { SettingsFolder } from "./settings-folder.ts";

/** The ways in which a task is held; what is `undefined` was not found or does not work here. */
export interface Confinement {
  readonly bubblewrap: string | undefined;
  /** Whether a task has nothing left but the rights of its user, and no way to more. */
  readonly givesUpPrivileges: boolean;
  /** Whether tasks run under uids of their own. */
  readonly changesUid: boolean;
  /** Walls that are made once and copied; without them, bubblewrap makes them anew for each. */
  readonly views?: KeptViews | undefined;
}

export interface FoundConfinement {
  readonly confinement: Confinement;
  /** Why each stronger way was given up, in plain words. */
  readonly remarks: readonly string[];
  /** Why walls are not copied, where they could be. They are as strong without, and take longer. */
  readonly slowness?: string | undefined;
}

export interface ConfinementWish {
  /** One that tasks could run under, or `undefined` when the daemon may not change uids. */
  readonly uid: number | undefined;
  /** What starts it. */
  readonly spawner: Spawner;
  readonly settings: SettingsFolder;
  /** Tools that are not to be used though they are here. */
  readonly avoid: readonly string[];
}

/** Of a file of ours, which is there for all that see the host. */
const SEES_NOTHING = 'if test -e "$1"; then echo "what is inside sees the files of the host" >&2; exit 1; fi';

/**
 * Finds the strongest way to start a task here by trying it: bubblewrap and an own uid, then less and less. Ends with a plain
 * process, and says why.
 */
export async function findConfinement(
  { uid, avoid, ...means }: ConfinementWish,
  signal: AbortSignal,
): Promise<FoundConfinement> {
  const bubblewrap = avoid.includes("bubblewrap") ? undefined : findTool("bwrap");
  const givesUpPrivileges = !avoid.includes("setpriv");
  const remarks: string[] = [];
  if (bubblewrap === undefined) remarks.push("bubblewrap (bwrap) is not installed, or not to be used");
  if (!givesUpPrivileges) remarks.push("tasks are not to give up privileges");
  const hasUid = uid !== undefined && givesUpPrivileges;
  const ways: readonly Confinement[] = [
    { bubblewrap, givesUpPrivileges, changesUid: hasUid },
    { bubblewrap, givesUpPrivileges: false, changesUid: false },
    { bubblewrap: undefined, givesUpPrivileges, changesUid: hasUid },
    { bubblewrap: undefined, givesUpPrivileges, changesUid: false },
  ];
  for (const confinement of ways) {
    const wish = { ...means, avoid, uid: confinement.changesUid ? uid : undefined };
    const failure = await whyNot(confinement, wish, signal);
    if (failure === undefined) return { ...(await withCopies(confinement, wish, signal)), remarks };
    remarks.push(`${describeWay(confinement)} does not work here: ${failure}`);
  }
  return {
    confinement: { bubblewrap: undefined, givesUpPrivileges: false, changesUid: false },
    remarks,
  };
}

/** Runs a program that does nothing; returns what went wrong, if anything. */
async function whyNot(
  how: Confinement,
  { spawner, settings, uid }: ConfinementWish,
  signal: AbortSignal,
): Promise<string | undefined> {
  const wish: CommandWish = {
    folder: "/usr",
    command: how.bubblewrap === undefined ? ["true"] : ["sh", "-c", SEES_NOTHING, "sh", spawner.path],
    environment: { PATH: "/usr/bin:/bin" },
    cgroups: 0,
    uid,
    settings: settings.view(),
    scratchBytes: 4096,
    readOnlyPaths: [],
    devices: [],
  };
  const limits = { joinFiles: [], openFiles: OPEN_FILES, oomScore: OOM_SCORE, users: usersFile(uid ?? 0) };
  const outside = { network: { type: "host" }, ...limits } as const;
  const leaderKind = how.bubblewrap === undefined ? "task" : "bubblewrap";
  try {
    await tryOut("it does not come to its end", signal, async (within) => {
      const launched =
        (await how.views?.launch(wish, outside)) ??
        (await launch(spawner, { argv: commandLine(how, wish), folder: "/", leaderKind, ...outside }));
      await untilDone(launched, within);
    });
    return undefined;
  } catch (error) {
    signal.throwIfAborted();
    const { facts, message } = ExecutorError.from(error);
    return (facts as { readonly reason?: string }).reason ?? message;
  }
}

/** Kept views for sandboxes of this kind, where they work. */
async function withCopies(
  confinement: Confinement,
  wish: ConfinementWish,
  signal: AbortSignal,
): Promise<Omit<FoundConfinement, "remarks">> {
  const { bubblewrap, changesUid } = confinement;
  if (bubblewrap === undefined || !changesUid) return { confinement };
  if (wish.avoid.includes("copies")) return { confinement, slowness: "walls are not to be copied" };
  const copying = { ...confinement, views: new KeptViews(wish.spawner, bubblewrap) };
  const slowness = await whyNot(copying, wish, signal);
  return slowness === undefined ? { confinement: copying } : { confinement, slowness };
}

function describeWay({ bubblewrap, givesUpPrivileges, changesUid }: Confinement): string {
  const own = changesUid ? "an own uid" : "no privileges";
  const parts = [bubblewrap && "bubblewrap", givesUpPrivileges && own];
  return parts.filter(Boolean).join(" with ") || "a plain process";
}
