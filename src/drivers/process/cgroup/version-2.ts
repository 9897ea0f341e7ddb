import { join } from "node:path";
import type { Cgroup, CgroupLimits, CgroupRoot, CgroupUsage, LimitName } from "./cgroup.ts";
import { CPU_PERIOD_US, cpuQuotaUs, killAll } from "./cgroup.ts";
import type { ControlFiles } from "./control-files.ts";
import { numberIn, processesIn } from "./control-files.ts";

const LIMITS: readonly LimitName[] = ["cpu", "memory", "pids"];

/**
 * One owner's place in the cgroup v2 hierarchy, or `undefined` where nothing can be made.
 *
 * @param parent the directory that holds the owner's own; its controllers are already handed down to its children.
 */
export function openVersion2(files: ControlFiles, parent: string, owner: string): CgroupRoot | undefined {
  const owned = join(parent, owner);
  try {
    files.makeDirectory(owned);
  } catch {
    // Not ours to use; the caller has other places to try.
    return undefined;
  }
  handDown(files, owned);
  const present = (files.read(join(owned, "cgroup.subtree_control")) ?? "").split(/\s+/);
  const group = (name: string): Version2Cgroup => new Version2Cgroup(files, join(owned, name), name);
  return {
    version: "v2",
    missing: LIMITS.filter((limit) => !present.includes(limit)),
    canFreeze: true,
    create(name, wanted) {
      const created = group(name);
      try {
        created.limit(wanted, present);
      } catch (error) {
        created.remove();
        throw error;
      }
      return created;
    },
    open: (name) => (files.directories(owned).includes(name) ? group(name) : undefined),
    names: () => files.directories(owned),
    close() {
      files.removeDirectory(owned);
    },
  };
}

/** Makes the controllers that a cgroup has available to its children, each on its own: one that is refused hinders no other. */
export function handDown(files: ControlFiles, directory: string): readonly LimitName[] {
  const available = (files.read(join(directory, "cgroup.controllers")) ?? "").split(/\s+/);
  const refused: LimitName[] = [];
  for (const controller of LIMITS.filter((name) => available.includes(name))) {
    try {
      files.write(join(directory, "cgroup.subtree_control"), `+${controller}`);
    } catch {
      refused.push(controller);
    }
  }
  return refused;
}

class Version2Cgroup implements Cgroup {
  readonly name: string;
  readonly joinFiles: readonly string[];
  readonly #files: ControlFiles;
  readonly #at: string;

  constructor(files: ControlFiles, at: string, name: string) {
    this.name = name;
    this.#files = files;
    this.#at = at;
    this.joinFiles = [join(at, "cgroup.procs")];
  }

  limit({ cpuMillis, memoryBytes, processes }: CgroupLimits, present: readonly string[]): void {
    this.#files.makeDirectory(this.#at);
    if (present.includes("cpu")) this.#write("cpu.max", `${cpuQuotaUs(cpuMillis)} ${CPU_PERIOD_US}`);
    if (present.includes("memory")) {
      this.#write("memory.max", String(memoryBytes));
      // One process killed for want of memory leaves a task that half works: all of it goes.
      this.#tryWrite("memory.oom.group", "1");
      this.#tryWrite("memory.swap.max", "0");
    }
    if (present.includes("pids")) this.#write("pids.max", String(processes));
  }

  processes(): readonly number[] {
    return processesIn(this.#read("cgroup.procs"));
  }

  isFrozen(): boolean {
    return numberIn(this.#read("cgroup.events"), "frozen") === 1;
  }

  setFrozen(isFrozen: boolean): void {
    this.#write("cgroup.freeze", isFrozen ? "1" : "0");
  }

  kill(): void {
    // Since Linux 5.14, and it reaches processes that fork meanwhile; a frozen one dies too.
    if (!this.#tryWrite("cgroup.kill", "1")) killAll(this.processes(), "SIGKILL");
  }

  memoryKills(): number {
    return numberIn(this.#read("memory.events"), "oom_kill") ?? 0;
  }

  usage(): CgroupUsage | undefined {
    const cpuUs = numberIn(this.#read("cpu.stat"), "usage_usec");
    const memory = numberIn(this.#read("memory.current"));
    if (cpuUs === undefined || memory === undefined) return undefined;
    const idle = numberIn(this.#read("memory.stat"), "inactive_file") ?? 0;
    return {
      cpuMs: cpuUs / 1000,
      memoryBytes: Math.max(0, memory - idle),
      memoryPeakBytes: numberIn(this.#read("memory.peak")),
    };
  }

  remove(): boolean {
    return this.#files.removeDirectory(this.#at);
  }

  #read(file: string): string | undefined {
    return this.#files.read(join(this.#at, file));
  }

  #write(file: string, text: string): void {
    this.#files.write(join(this.#at, file), text);
  }

  /** For files that older kernels or kernels without swap do not have. */
  #tryWrite(file: string, text: string): boolean {
    try {
      this.#write(file, text);
      return true;
    } catch {
      return false;
    }
  }
}
