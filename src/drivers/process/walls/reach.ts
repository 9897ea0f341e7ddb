import type { CgroupRoot, LimitName } from "../cgroup/cgroup.ts";
import type { TaskNetworks } from "../network/index.ts";
import type { Confinement } from "./confinement.ts";
import type { TaskUids } from "./task-uids.ts";

/** What this host lets the driver do, for `doctor` and for the warnings of each sandbox. */
export interface ProcessReach {
  readonly cgroup: "v1" | "v2" | "none";
  readonly limits: readonly LimitName[];
  readonly freezer: "cgroup" | "signals";
  readonly bubblewrap: boolean;
  /** Whether walls are made once and copied for each sandbox, which is faster than bubblewrap for each. */
  readonly copiesWalls: boolean;
  /** `own`: each sandbox has a uid to itself. `shared`: all of them have one. `daemon`: they run as the daemon does. */
  readonly uids: "own" | "shared" | "daemon";
  /** `own`: each sandbox has a network to itself, which only the daemon reaches, and which leads where its policy says. */
  readonly network: "own" | "host";
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
  slowness?: string,
): ProcessReach {
  const limits = LIMITS.filter((limit) => cgroups !== undefined && !cgroups.missing.includes(limit));
  const reach = {
    cgroup: cgroups?.version ?? "none",
    limits,
    freezer: cgroups?.canFreeze === true ? "cgroup" : "signals",
    bubblewrap: confinement.bubblewrap !== undefined,
    copiesWalls: confinement.views !== undefined,
    uids: uids === undefined ? "daemon" : uids.isOwn ? "own" : "shared",
    network: networks === undefined ? "host" : "own",
  } as const;
  return { ...reach, detail: detailOf(reach, slowness), warnings: [...warningsOf(reach), ...remarks] };
}

type Facts = Omit<ProcessReach, "detail" | "warnings">;

function detailOf(facts: Facts, slowness: string | undefined): string {
  const { cgroup, limits, freezer, bubblewrap, uids, network } = facts;
  const limited = limits.map((limit) => LIMIT_WORDS[limit]).join(", ");
  return [
    "tasks are processes of this host",
    cgroup === "none" ? "no cgroup" : `cgroup ${cgroup} limits ${limited || "nothing"}`,
    `frozen by ${freezer === "cgroup" ? "the cgroup" : "SIGSTOP"}`,
    bubblewrap ? "own file system view, process ids and IPC (bubblewrap)" : "no own file system view",
    { own: "a uid for each sandbox", shared: "one uid for all tasks", daemon: "the daemon's own uid" }[uids],
    { own: "a network for each sandbox", host: "the host's network" }[network],
    ...(slowness === undefined ? [] : [`each sandbox is walled in by bubblewrap anew: ${slowness}`]),
  ].join("; ");
}

function warningsOf({ cgroup, limits, bubblewrap, uids, network }: Facts): readonly string[] {
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
  return warnings;
}
