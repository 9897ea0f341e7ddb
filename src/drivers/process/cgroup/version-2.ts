import { join } from "node:path";
import type {
  Cgroup,
  CgroupLimits,
  CgroupPlan,
  CgroupRoot,
  CgroupSetting,
  CgroupUsage,
  LimitName,
} from "./cgroup.ts";
import { CPU_PERIOD_US, cpuQuotaUs, killAll } from "./cgroup.ts";
import type { ControlFiles } from "./control-files.ts";
import { numberIn, processesIn } from "./control-files.ts";
import { makePlanned } from "./make-cgroup.ts";

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
  const plan: CgroupRoot["plan"] = (name, wanted) => group(name).plan(wanted, present);
  return {
    version: "v2",
    missing: LIMITS.filter((limit) => !present.includes(limit)),
    canFreeze: true,
    plan,
    create: (name, wanted) => makePlanned(files, plan(name, wanted)),
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
  #isGone = false;

  constructor(files: ControlFiles, at: string, name: string) {
    this.name = name;
    this.#files = files;
    this.#at = at;
    this.joinFiles = [join(at, "cgroup.procs")];
  }

  plan({ cpuMillis, memoryBytes, processes }: CgroupLimits, present: readonly string[]): CgroupPlan {
    const setting = (
      controller: LimitName,
      file: string,
      text: string,
      isNeeded = true,
    ): readonly CgroupSetting[] =>
      present.includes(controller) ? [{ tries: [{ file: join(this.#at, file), text }], isNeeded }] : [];
    const settings = [
      ...setting("cpu", "cpu.max", `${cpuQuotaUs(cpuMillis)} ${CPU_PERIOD_US}`),
      ...setting("memory", "memory.max", String(memoryBytes)),
      // One process killed for want of memory leaves a task that half works: all of it goes. Older kernels do not have it.
      ...setting("memory", "memory.oom.group", "1", false),
      ...setting("memory", "memory.swap.max", "0", false),
      ...setting("pids", "pids.max", String(processes)),
    ];
    return { cgroup: this, directories: [this.#at], settings };
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
    const counted = this.finalUsage();
    const memory = numberIn(this.#read("memory.current"));
    if (counted === undefined || memory === undefined) return undefined;
    const idle = numberIn(this.#read("memory.stat"), "inactive_file") ?? 0;
    return { ...counted, memoryBytes: Math.max(0, memory - idle) };
  }

  finalUsage(): CgroupUsage | undefined {
    const cpuUs = numberIn(this.#read("cpu.stat"), "usage_usec");
    if (cpuUs === undefined) return undefined;
    return { cpuMs: cpuUs / 1000, memoryBytes: 0, memoryPeakBytes: numberIn(this.#read("memory.peak")) };
  }

  remove(): boolean {
    this.#isGone ||= this.#files.removeDirectory(this.#at);
    return this.#isGone;
  }

  async removeBy(removeDirectories: (directories: readonly string[]) => Promise<void>): Promise<boolean> {
    this.#isGone ||= await removeDirectories([this.#at]).then(
      () => true,
      () => false,
    );
    return this.remove();
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
