import type { SandboxId } from "../../core/index.ts";
import type { CardNodes } from "./cards.ts";
import type { CgroupRoot } from "./cgroup/cgroup.ts";
import type { FolderDigests } from "./folders/folder-digest.ts";
import type { TaskNetworks } from "./network/index.ts";
import type { PortLeases } from "./readiness/ports.ts";
import type { Spawner } from "./spawner/index.ts";
import type { SandboxRecords } from "./task/record.ts";
import type { RunningTask } from "./task/running-task.ts";
import type { Confinement } from "./walls/confinement.ts";
import type { SettingsFolder } from "./walls/settings-folder.ts";
import type { TaskUids } from "./walls/task-uids.ts";

/** What a process driver works with once it is open. */
export interface ProcessWorld {
  readonly owner: string;
  readonly taskDirectories: readonly string[];
  readonly readOnlyPaths: readonly string[];
  readonly scratchBytes: number;
  readonly cardNodes: CardNodes;
  readonly spawner: Spawner;
  readonly settings: SettingsFolder;
  readonly confinement: Confinement;
  readonly cgroups: CgroupRoot | undefined;
  readonly uids: TaskUids | undefined;
  /** Makes a network for each sandbox; without it, all of them are on the host's. */
  readonly networks: TaskNetworks | undefined;
  readonly records: SandboxRecords;
  /** Where tasks without a private `/tmp` get a folder of their own. */
  readonly homes: string;
  readonly ports: PortLeases;
  readonly digests: FolderDigests;
  /** Sandboxes of this life, from launch to their last trace. */
  readonly live: Map<SandboxId, RunningTask>;
  /** Names of test processes that run or are being made; they are nobody's leftovers. */
  readonly probing: Set<string>;
  /** Where these get their folders. */
  readonly probes: string;
  /** What every sandbox's warnings begin with: what this host cannot do for it. */
  readonly warnings: readonly string[];
}

/** Where the daemon calls tasks on the host's network; they are told to listen on a port, not on an address. */
export const LOOPBACK = "127.0.0.1";

/** Processes and threads that one sandbox may have. */
export const MOST_PROCESSES = 256;
