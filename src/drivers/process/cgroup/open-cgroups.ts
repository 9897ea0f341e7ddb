import { join } from "node:path";
import type { CgroupRoot } from "./cgroup.ts";
import type { ControlFiles } from "./control-files.ts";
import { controlFiles, processesIn } from "./control-files.ts";
import { openVersion1 } from "./version-1.ts";
import { handDown, openVersion2 } from "./version-2.ts";

/** Under this directory each owner has its own. */
const NAME = "hearth";
/** Where our own processes go when our cgroup has to hand controllers down: v2 allows processes in leaves only. */
const DAEMON_LEAF = "hearth-daemon";

/** What the search for a place reads; tests give text and a file system of their own. */
export interface CgroupWorld {
  readonly files: ControlFiles;
  /** The text of `/proc/self/mountinfo`. */
  readonly mounts: string;
  /** The text of `/proc/self/cgroup`. */
  readonly own: string;
  /** Whether a process is the daemon's own or one that it started. */
  isOurs(pid: number): boolean;
}

/**
 * Finds where this daemon may make cgroups: the v1 hierarchies if the memory controller is mounted there, otherwise v2, first
 * below our own cgroup (delegated to us, or our container's), then at the root. `undefined` where neither can be used.
 */
export function openCgroups(owner: string, world: CgroupWorld = thisHost()): CgroupRoot | undefined {
  const { files } = world;
  const mounts = parseMounts(world.mounts);
  const own = parseOwn(world.own);
  if (mounts.some(({ controllers }) => controllers.includes("memory"))) {
    const parents = mounts.flatMap(({ at, controllers }) =>
      controllers.map((controller) => [controller, join(at, NAME)] as const),
    );
    const opened = openVersion1(files, Object.fromEntries(parents), owner);
    // Without these two, neither limits nor a sure end are to be had; what is left is no better than a process group.
    return opened.missing.includes("memory") && !opened.canFreeze ? undefined : opened;
  }
  const unified = mounts.find(({ isUnified }) => isUnified);
  if (unified === undefined) return undefined;
  const places = [join(unified.at, own.get("") ?? "/"), unified.at];
  for (const place of new Set(places.map((path) => path.replace(/(?<=.)\/$/, "")))) {
    if (!makeRoom(world, place)) continue;
    const opened = openVersion2(files, join(place, NAME), owner);
    if (opened !== undefined && opened.missing.length < 3) return opened;
    opened?.close();
  }
  return undefined;
}

/** Makes a v2 cgroup hand its controllers down; moves our own processes into a leaf when they are what stands in the way. */
function makeRoom({ files, isOurs }: CgroupWorld, place: string): boolean {
  const enable = (): boolean => handDown(files, place).length === 0;
  const prepare = (): boolean => {
    try {
      files.makeDirectory(join(place, NAME));
    } catch {
      return false;
    }
    handDown(files, join(place, NAME));
    return true;
  };
  if (enable()) return prepare();
  const processes = processesIn(files.read(join(place, "cgroup.procs")));
  // Somebody else's processes stay where they are.
  if (processes.length === 0 || !processes.every((pid) => isOurs(pid))) return false;
  try {
    files.makeDirectory(join(place, DAEMON_LEAF));
    for (const pid of processes) files.write(join(place, DAEMON_LEAF, "cgroup.procs"), String(pid));
  } catch {
    return false;
  }
  return enable() && prepare();
}

interface CgroupMount {
  readonly at: string;
  readonly controllers: readonly string[];
  readonly isUnified: boolean;
}

/** @see proc(5), "/proc/pid/mountinfo": the fields after ` - ` are type, source and super options. */
function parseMounts(text: string): readonly CgroupMount[] {
  return text.split("\n").flatMap((line) => {
    const [before, after] = line.split(" - ");
    const [type, , options] = (after ?? "").split(" ");
    const at = before?.split(" ")[4];
    if (at === undefined || (type !== "cgroup" && type !== "cgroup2")) return [];
    const controllers = type === "cgroup" ? (options ?? "").split(",") : [];
    return [{ at, controllers, isUnified: type === "cgroup2" }];
  });
}

/** Controller to path; the unified hierarchy has the empty name. */
function parseOwn(text: string): ReadonlyMap<string, string> {
  const own = new Map<string, string>();
  for (const line of text.split("\n")) {
    const [, controllers, path] = /^\d+:([^:]*):(.*)$/.exec(line) ?? [];
    for (const controller of controllers?.split(",") ?? []) own.set(controller, path ?? "/");
  }
  return own;
}

function thisHost(): CgroupWorld {
  const parentOf = (pid: number): number =>
    Number(/\) \S (\d+)/.exec(controlFiles.read(`/proc/${pid}/stat`) ?? "")?.[1] ?? 0);
  return {
    files: controlFiles,
    mounts: controlFiles.read("/proc/self/mountinfo") ?? "",
    own: controlFiles.read("/proc/self/cgroup") ?? "",
    isOurs(pid) {
      // A parent chain is short; the bound only guards against a `/proc` that changes underneath.
      for (let at = pid, steps = 0; at > 1 && steps < 64; at = parentOf(at), steps += 1)
        if (at === process.pid) return true;
      // In a container of its own, process 1 (an init, or the start script) is there for us.
      return pid === 1 || parentOf(process.pid) === pid;
    },
  };
}
