import { join } from "node:path";
import type { Cgroup, CgroupLimits, CgroupRoot, CgroupUsage, LimitName } from "./cgroup.ts";
import { CPU_PERIOD_US, cpuQuotaUs, killAll } from "./cgroup.ts";
import type { ControlFiles } from "./control-files.ts";
import { numberIn, processesIn } from "./control-files.ts";

/** The controllers that a sandbox joins, each a hierarchy of its own. */
const CONTROLLERS = ["cpu", "cpuacct", "memory", "pids", "freezer"] as const;
type Controller = (typeof CONTROLLERS)[number];
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
  const group = (name: string): Cgroup => new Version1Cgroup(files, inside(owned, name), name);
  return {
    version: "v1",
    missing: limits.filter((limit) => owned[limit] === undefined),
    canFreeze: owned.freezer !== undefined,
    create(name, wanted) {
      const created = new Version1Cgroup(files, inside(owned, name), name);
      try {
        created.limit(wanted);
      } catch (error) {
        created.remove();
        throw error;
      }
      return created;
    },
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

  constructor(files: ControlFiles, at: Directories, name: string) {
    this.name = name;
    this.#files = files;
    this.#at = at;
    this.joinFiles = unique(at).map((directory) => join(directory, "cgroup.procs"));
  }

  limit({ cpuMillis, memoryBytes, processes }: CgroupLimits): void {
    for (const directory of unique(this.#at)) this.#files.makeDirectory(directory);
    this.#set("cpu", "cpu.cfs_period_us", CPU_PERIOD_US);
    this.#set("cpu", "cpu.cfs_quota_us", cpuQuotaUs(cpuMillis));
    this.#set("memory", "memory.limit_in_bytes", memoryBytes);
    try {
      this.#set("memory", "memory.memsw.limit_in_bytes", memoryBytes);
    } catch {
      // Swap is not accounted on this kernel; then it is not used at all.
      this.#set("memory", "memory.swappiness", 0);
    }
    this.#set("pids", "pids.max", processes);
  }

  processes(): readonly number[] {
    const all = this.joinFiles.flatMap((file) => processesIn(this.#files.read(file)));
    return [...new Set(all)];
  }

  isFrozen(): boolean {
    return this.#read("freezer", "freezer.state")?.trim() === "FROZEN";
  }

  setFrozen(isFrozen: boolean): void {
    this.#set("freezer", "freezer.state", isFrozen ? "FROZEN" : "THAWED");
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
    const cpuNs = numberIn(this.#read("cpuacct", "cpuacct.usage"));
    const memory = numberIn(this.#read("memory", "memory.usage_in_bytes"));
    if (cpuNs === undefined || memory === undefined) return undefined;
    // Cached file pages that nobody uses go away when memory is wanted.
    const idle = numberIn(this.#read("memory", "memory.stat"), "total_inactive_file") ?? 0;
    return {
      cpuMs: cpuNs / 1e6,
      memoryBytes: Math.max(0, memory - idle),
      memoryPeakBytes: numberIn(this.#read("memory", "memory.max_usage_in_bytes")),
    };
  }

  remove(): boolean {
    return unique(this.#at)
      .map((directory) => this.#files.removeDirectory(directory))
      .every(Boolean);
  }

  #set(controller: Controller, file: string, value: string | number): void {
    const directory = this.#at[controller];
    if (directory !== undefined) this.#files.write(join(directory, file), String(value));
  }

  #read(controller: Controller, file: string): string | undefined {
    const directory = this.#at[controller];
    return directory === undefined ? undefined : this.#files.read(join(directory, file));
  }
}

function inside(owned: Directories, name: string): Directories {
  return Object.fromEntries(Object.entries(owned).map(([key, directory]) => [key, join(directory, name)]));
}

/** Controllers may be mounted together; then they share a directory. */
function unique(directories: Directories): readonly string[] {
  return [...new Set(Object.values(directories))];
}

function namesIn(files: ControlFiles, owned: Directories): readonly string[] {
  return [...new Set(unique(owned).flatMap((directory) => files.directories(directory)))];
}
