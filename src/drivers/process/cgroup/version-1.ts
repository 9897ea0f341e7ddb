import { join } from "node:path";
import type {
  Cgroup,
  CgroupLimits,
  CgroupPlan,
  CgroupRoot,
  CgroupSetting,
  CgroupUsage,
  CgroupWrite,
  LimitName,
} from "./cgroup.ts";
import { cpuQuotaUs, killAll } from "./cgroup.ts";
import type { ControlFiles } from "./control-files.ts";
import { numberIn, processesIn } from "./control-files.ts";
import { makePlanned } from "./make-cgroup.ts";

/** The controllers that a sandbox joins, each a hierarchy of its own. */
const CONTROLLERS = ["cpu", "cpuacct", "memory", "pids", "freezer"] as const;
type Controller = (typeof CONTROLLERS)[number];
type Try = readonly [controller: Controller, file: string, text: string];
type Directories = Partial<Record<Controller, string>>;

/**
 * One owner's place in the cgroup v1 hierarchies.
 *
 * @param parents the directory in each mounted hierarchy under which `owner` gets its own.
 */
export function openVersion1(files: ControlFiles, parents: Directories, owner: string): CgroupRoot {
  const owned: Directories = {};
  for (const controller of CONTROLLERS) {
    const parent = parents[controller];
    if (parent === undefined) continue;
    const directory = join(parent, owner);
    try {
      files.makeDirectory(directory);
      owned[controller] = directory;
    } catch {
      // Not ours to use: the limit is reported as missing below.
    }
  }
  const limits: readonly LimitName[] = ["cpu", "memory", "pids"];
  const plan: CgroupRoot["plan"] = (name, wanted, freezes = true) =>
    new Version1Cgroup(files, inside(freezes ? owned : unfrozen(owned), name), name).plan(wanted);
  const group = (name: string): Cgroup => new Version1Cgroup(files, inside(owned, name), name);
  return {
    version: "v1",
    missing: limits.filter((limit) => owned[limit] === undefined),
    canFreeze: owned.freezer !== undefined,
    plan,
    create: (name, wanted, freezes) => makePlanned(files, plan(name, wanted, freezes)),
    open: (name) => (namesIn(files, owned).includes(name) ? group(name) : undefined),
    names: () => namesIn(files, owned),
    close() {
      for (const directory of unique(owned)) files.removeDirectory(directory);
    },
  };
}

class Version1Cgroup implements Cgroup {
  readonly name: string;
  readonly joinFiles: readonly string[];
  readonly #files: ControlFiles;
  readonly #at: Directories;
  #isGone = false;

  constructor(files: ControlFiles, at: Directories, name: string) {
    this.name = name;
    this.#files = files;
    this.#at = at;
    this.joinFiles = unique(at).map((directory) => join(directory, "cgroup.procs"));
  }

  plan({ cpuMillis, memoryBytes, processes }: CgroupLimits): CgroupPlan {
    const bytes = String(memoryBytes);
    const settings = [
      // The period is a tenth of a second in every new group: see the kernel's "CFS Bandwidth Control".
      this.#setting(["cpu", "cpu.cfs_quota_us", String(cpuQuotaUs(cpuMillis))]),
      this.#setting(["memory", "memory.limit_in_bytes", bytes]),
      // Where swap is not accounted on this kernel, it is not used at all.
      this.#setting(["memory", "memory.memsw.limit_in_bytes", bytes], ["memory", "memory.swappiness", "0"]),
      this.#setting(["pids", "pids.max", String(processes)]),
    ];
    return { cgroup: this, directories: unique(this.#at), settings: settings.flat() };
  }

  processes(): readonly number[] {
    // Whoever is in any of them has joined the first one first, and may leave none.
    const [first] = this.joinFiles;
    return first === undefined ? [] : processesIn(this.#files.read(first));
  }

  isFrozen(): boolean {
    return this.#read("freezer", "freezer.state")?.trim() === "FROZEN";
  }

  setFrozen(isFrozen: boolean): void {
    const directory = this.#at.freezer;
    if (directory !== undefined)
      this.#files.write(join(directory, "freezer.state"), isFrozen ? "FROZEN" : "THAWED");
  }

  kill(): void {
    killAll(this.processes(), "SIGKILL");
    try {
      // A frozen process dies only once it is thawed.
      this.setFrozen(false);
    } catch {
      // The group has been removed, and with it whatever could be frozen.
    }
  }

  memoryKills(): number {
    return numberIn(this.#read("memory", "memory.oom_control"), "oom_kill") ?? 0;
  }

  usage(): CgroupUsage | undefined {
    const counted = this.finalUsage();
    const memory = numberIn(this.#read("memory", "memory.usage_in_bytes"));
    if (counted === undefined || memory === undefined) return undefined;
    // Cached file pages that nobody uses go away when memory is wanted.
    const idle = numberIn(this.#read("memory", "memory.stat"), "total_inactive_file") ?? 0;
    return { ...counted, memoryBytes: Math.max(0, memory - idle) };
  }

  finalUsage(): CgroupUsage | undefined {
    const cpuNs = numberIn(this.#read("cpuacct", "cpuacct.usage"));
    if (cpuNs === undefined || this.#at.memory === undefined) return undefined;
    const memoryPeakBytes = numberIn(this.#read("memory", "memory.max_usage_in_bytes"));
    return { cpuMs: cpuNs / 1e6, memoryBytes: 0, memoryPeakBytes };
  }

  remove(): boolean {
    // A group is removed by several who each make sure; the kernel need not be asked again.
    this.#isGone ||= unique(this.#at)
      .map((directory) => this.#files.removeDirectory(directory))
      .every(Boolean);
    return this.#isGone;
  }

  async removeBy(removeDirectories: (directories: readonly string[]) => Promise<void>): Promise<boolean> {
    this.#isGone ||= await removeDirectories(unique(this.#at)).then(
      () => true,
      () => false,
    );
    return this.remove();
  }

  /** None where that controller is not to be had; all are of one. */
  #setting(...tries: readonly [Try, ...Try[]]): readonly CgroupSetting[] {
    const directory = this.#at[tries[0][0]];
    if (directory === undefined) return [];
    const write = ([, file, text]: Try): CgroupWrite => ({ file: join(directory, file), text });
    const [first, ...others] = tries;
    return [{ tries: [write(first), ...others.map(write)], isNeeded: true }];
  }

  #read(controller: Controller, file: string): string | undefined {
    const directory = this.#at[controller];
    return directory === undefined ? undefined : this.#files.read(join(directory, file));
  }
}

function inside(owned: Directories, name: string): Directories {
  return Object.fromEntries(Object.entries(owned).map(([key, directory]) => [key, join(directory, name)]));
}

/** The others are what finds and ends its processes as well; where there are none, this one is. */
function unfrozen({ freezer, ...others }: Directories): Directories {
  return Object.keys(others).length > 0 || freezer === undefined ? others : { freezer };
}

/** Controllers may be mounted together; then they share a directory. */
function unique(directories: Directories): readonly string[] {
  return [...new Set(Object.values(directories))];
}

function namesIn(files: ControlFiles, owned: Directories): readonly string[] {
  return [...new Set(unique(owned).flatMap((directory) => files.directories(directory)))];
}
