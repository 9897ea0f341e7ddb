import type { CgroupRoot, LimitName } from "./cgroup/cgroup.ts";
import type { Confinement } from "./confinement.ts";
import type { TaskNetworks } from "./network/index.ts";
import type { TaskUids } from "./task-uids.ts";

/** What this host lets the driver do, for `doctor` and for the warnings of each sandbox. */
export interface ProcessReach {
  readonly cgroup: "v1" | "v2" | "none";
  readonly limits: readonly LimitName[];
  readonly freezer: "cgroup" | "signals";
  readonly bubblewrap: boolean;
  /** `own`: each sandbox has a uid to itself. `shared`: all of them have one. `daemon`: they run as the daemon does. */
  readonly uids: "own" | "shared" | "daemon";
  /** `own`: each sandbox has a network to itself, which only the daemon reaches, and which leads where its policy says. */
  readonly network: "own" | "host";
  /** Whether a task's processes die with a daemon that is killed. */
  readonly endsWithDaemon: "all" | "first process" | "no";
  /** One line that says all of this. */
  readonly detail: string;
  /** What is weaker here than it could be, each with why. */
  readonly warnings: readonly string[];
}

const LIMITS: readonly LimitName[] = ["cpu", "memory", "pids"];
const LIMIT_WORDS: Record<LimitName, string> = { cpu: "CPU", memory: "memory", pids: "number of processes" };

/** The parts that were found to work on this host. */
export interface FoundParts {
  readonly confinement: Confinement;
  readonly cgroups: CgroupRoot | undefined;
  readonly uids: TaskUids | undefined;
  readonly networks: TaskNetworks | undefined;
}

export function describeReach(
  { confinement, cgroups, uids, networks }: FoundParts,
  remarks: readonly string[],
): ProcessReach {
  const limits = LIMITS.filter((limit) => cgroups !== undefined && !cgroups.missing.includes(limit));
  const reach = {
    cgroup: cgroups?.version ?? "none",
    limits,
    freezer: cgroups?.canFreeze === true ? "cgroup" : "signals",
    bubblewrap: confinement.bubblewrap !== undefined,
    uids: uids === undefined ? "daemon" : uids.isOwn ? "own" : "shared",
    network: networks === undefined ? "host" : "own",
    endsWithDaemon:
      confinement.bubblewrap !== undefined
        ? "all"
        : confinement.setpriv !== undefined
          ? "first process"
          : "no",
  } as const;
  return { ...reach, detail: detailOf(reach), warnings: [...warningsOf(reach), ...remarks] };
}

type Facts = Omit<ProcessReach, "detail" | "warnings">;

function detailOf({ cgroup, limits, freezer, bubblewrap, uids, network }: Facts): string {
  const limited = limits.map((limit) => LIMIT_WORDS[limit]).join(", ");
  return [
    "tasks are processes of this host",
    cgroup === "none" ? "no cgroup" : `cgroup ${cgroup} limits ${limited || "nothing"}`,
    `frozen by ${freezer === "cgroup" ? "the cgroup" : "SIGSTOP"}`,
    bubblewrap ? "own file system view, process ids and IPC (bubblewrap)" : "no own file system view",
    { own: "a uid for each sandbox", shared: "one uid for all tasks", daemon: "the daemon's own uid" }[uids],
    { own: "a network for each sandbox", host: "the host's network" }[network],
  ].join("; ");
}

function warningsOf({ cgroup, limits, bubblewrap, uids, network, endsWithDaemon }: Facts): readonly string[] {
  const warnings: string[] = [];
  const missing = LIMITS.filter((limit) => !limits.includes(limit)).map((limit) => LIMIT_WORDS[limit]);
  if (cgroup === "none")
    warnings.push("no cgroup can be made here: CPU, memory and processes are not limited");
  else if (missing.length > 0) warnings.push(`the cgroups here do not limit ${missing.join(" and ")}`);
  if (!bubblewrap) warnings.push("tasks see the host's file system and processes");
  if (uids === "daemon")
    warnings.push("tasks run under the daemon's own uid: the API cannot tell them from other local callers");
  if (uids === "shared") warnings.push("all tasks share one uid");
  if (network === "host")
    warnings.push("tasks are on the host's network: they reach each other and what listens on its loopback");
  if (endsWithDaemon === "first process")
    warnings.push("what a task's first process started may outlive a killed daemon until its next start");
  if (endsWithDaemon === "no") warnings.push("tasks may outlive a killed daemon until its next start");
  return warnings;
}
