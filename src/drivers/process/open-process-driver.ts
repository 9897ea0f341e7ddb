import { readFileSync, rmSync } from "node:fs";
import { join, resolve } from "node:path";
import type {
  DriverHealth,
  JobDriver,
  Log,
  NetworkReport,
  NetworkSettings,
  SandboxDriver,
} from "../../core/index.ts";
import { DEFAULT_NETWORK_SETTINGS, ExecutorError } from "../../core/index.ts";
import { orAbort, Scope, withDeadline } from "../../std/index.ts";
import type { CardNodes } from "./cards.ts";
import { openCgroups } from "./cgroup/open-cgroups.ts";
import { refuseUnlessServing } from "./folders/find-server.ts";
import { FolderDigests } from "./folders/folder-digest.ts";
import { findTaskFolder } from "./folders/task-folders.ts";
import { checkSharedDir } from "./job/check-shared-dir.ts";
import { startJob } from "./job/start-job.ts";
import type { OpenedNetworks } from "./network/index.ts";
import { openNetworks } from "./network/index.ts";
import { PortLeases } from "./readiness/ports.ts";
import { TaskPeers } from "./readiness/task-peers.ts";
import { SELF_PATH, Spawner } from "./spawner/index.ts";
import { findJobLeftovers, findLeftovers } from "./task/leftovers.ts";
import { SandboxRecords } from "./task/record.ts";
import { startSandbox } from "./task/start-sandbox.ts";
import type { Confinement } from "./walls/confinement.ts";
import { findConfinement } from "./walls/confinement.ts";
import type { DoorAddress } from "./walls/probe-process.ts";
import { ProcessClass } from "./walls/process-class.ts";
import type { FoundParts, ProcessReach } from "./walls/reach.ts";
import { describeReach } from "./walls/reach.ts";
import { runOnce } from "./walls/run-once.ts";
import { SettingsFolder } from "./walls/settings-folder.ts";
import { openTaskUids } from "./walls/task-uids.ts";
import { startWorker } from "./worker/start-worker.ts";
import type { ProcessWorld } from "./world.ts";

export interface ProcessDriverOptions {
  /** Names this daemon among others on the host: letters, digits and `. _ -`, at most 64. Names its cgroups and records. */
  readonly owner: string;
  /** Where task folders are looked for, in this order. */
  readonly taskDirectories: readonly string[];
  /** A folder of ours alone, which is made if need be. */
  readonly stateDirectory: string;
  /** Further folders of the host that every task may read, such as an interpreter outside of `/usr`. */
  readonly readOnlyPaths?: readonly string[];
  /** What a task may write under `/tmp`, in bytes, where it has a private one; it counts as its memory. */
  readonly scratchBytes?: number;
  /** The addresses from which the networks of sandboxes are cut, four for each; what of it is in use on the host is left out. */
  readonly networkRange?: string;
  /** What tasks may reach. Default: nothing but answers to the daemon, and `egress` for who asks. */
  readonly network?: NetworkSettings;
  readonly log?: Log | undefined;
  /** Resolves once the executor's own doors listen, with where: a test process tries to reach them. Default: none. */
  readonly doors?: (() => Promise<readonly DoorAddress[]>) | undefined;
  /** The device files of the cards that a sandbox is given. Default: none, so that a task in bubblewrap sees no card. */
  readonly cardNodes?: CardNodes;
  /** Ways of confining tasks that are not to be used, for hosts where one misbehaves. Each costs isolation, and a warning. */
  readonly avoid?: readonly ConfinementPart[];
  /** Ways that must be to be had: opening is refused where one is not. */
  readonly requires?: readonly ConfinementPart[];
}

/** `copies`: walls that are made once and copied, instead of anew for each sandbox. */
export type ConfinementPart = "cgroup" | "bubblewrap" | "copies" | "setpriv" | "network";

/** The process driver, with what it found that it can do. */
export interface ProcessDriver extends SandboxDriver {
  readonly reach: ProcessReach;
}

const DEFAULT_SCRATCH_BYTES = 64 * 1_048_576;
const HAIL_DEADLINE_MS = 2000;
const DEFAULT_NETWORK_RANGE = "10.212.0.0/16";

/**
 * Opens the driver for hosts without a container engine: a task is a program in a task folder, run as processes of the host
 * in a cgroup and in bubblewrap where these are to be had. It finds out what they can do here by trying it, and never
 * claims a class above `process`.
 *
 * @throws {@link ExecutorError} CONFIG_INVALID, ENGINE_UNAVAILABLE.
 */
export async function openProcessDriver(
  options: ProcessDriverOptions,
  signal: AbortSignal,
): Promise<ProcessDriver> {
  const { owner, readOnlyPaths = [], scratchBytes = DEFAULT_SCRATCH_BYTES } = options;
  if (!/^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/.test(owner))
    throw new ExecutorError("CONFIG_INVALID", { reason: `"${owner}" cannot name the owner of cgroups` });
  const parts = await findParts(options, signal);
  const stateDirectory = resolve(options.stateDirectory);
  const world: ProcessWorld = {
    ...parts,
    owner,
    taskDirectories: options.taskDirectories.map((directory) => resolve(directory)),
    readOnlyPaths,
    scratchBytes,
    cardNodes: options.cardNodes ?? (() => []),
    records: new SandboxRecords(join(stateDirectory, "sandboxes"), owner),
    homes: join(stateDirectory, "homes", owner),
    ports: new PortLeases(),
    digests: new FolderDigests(),
    live: new Map(),
    probing: new Set(),
    probes: join(stateDirectory, "probes", owner),
    warnings: parts.reach.warnings,
  };
  // What a killed life left; it only ever holds what is made anew.
  rmSync(world.probes, { recursive: true, force: true });
  return processDriver(world, parts.reach, options);
}

interface Parts extends FoundParts {
  readonly spawner: Spawner;
  readonly settings: SettingsFolder;
  readonly reach: ProcessReach;
}

/** What this host has for confining tasks, each part tried out. */
async function findParts(options: ProcessDriverOptions, signal: AbortSignal): Promise<Parts> {
  const spawner = await Spawner.open(join(resolve(options.stateDirectory), "programs"));
  try {
    return await findPartsWith(spawner, options, signal);
  } catch (error) {
    spawner.close();
    throw error;
  }
}

async function findPartsWith(
  spawner: Spawner,
  options: ProcessDriverOptions,
  signal: AbortSignal,
): Promise<Parts> {
  const { owner, avoid = [] } = options;
  const isRoot = process.getuid?.() === 0;
  const wantedUids = isRoot ? openTaskUids(owner, readFileSync("/proc/self/uid_map", "utf8")) : undefined;
  const settings = new SettingsFolder(join(resolve(options.stateDirectory), "settings", owner));
  const wish = { uid: wantedUids?.take(), spawner, settings, avoid };
  const { confinement, slowness, ...rest } = await findConfinement(wish, signal);
  const uids = confinement.changesUid ? wantedUids : undefined;
  const { networks, remark } = await findNetworks(options, spawner, confinement, signal);
  const remarks = [...rest.remarks, ...(remark === undefined ? [] : [remark])];
  const cgroups = avoid.includes("cgroup") ? undefined : openCgroups(owner);
  const parts = { spawner, settings, confinement, uids, cgroups, networks };
  const missing = whatIsMissing(parts, options);
  if (missing.length > 0) {
    cgroups?.close();
    await networks?.close();
    throw new ExecutorError("ENGINE_UNAVAILABLE", { required: missing, reason: remarks.join("; ") });
  }
  return { ...parts, reach: describeReach(parts, remarks, slowness) };
}

function whatIsMissing(
  { confinement, cgroups, networks }: FoundParts,
  { requires = [] }: ProcessDriverOptions,
): readonly ConfinementPart[] {
  const isThere: Record<ConfinementPart, boolean> = {
    cgroup: cgroups !== undefined,
    bubblewrap: confinement.bubblewrap !== undefined,
    copies: confinement.views !== undefined,
    setpriv: confinement.givesUpPrivileges,
    network: networks !== undefined,
  };
  return requires.filter((part) => !isThere[part]);
}

async function findNetworks(
  { owner, networkRange = DEFAULT_NETWORK_RANGE, avoid = [], ...options }: ProcessDriverOptions,
  spawner: Spawner,
  { bubblewrap, changesUid }: Confinement,
  signal: AbortSignal,
): Promise<OpenedNetworks> {
  const without = (remark: string): OpenedNetworks => ({ networks: undefined, remark });
  if (avoid.includes("network")) return without("networks for tasks are not to be used");
  if (bubblewrap === undefined && !changesUid)
    return without("a network would not hold tasks that run as the daemon does");
  const { network: settings = DEFAULT_NETWORK_SETTINGS, log } = options;
  const stateDirectory = resolve(options.stateDirectory);
  return await openNetworks(
    {
      owner,
      range: networkRange,
      settings,
      stateDirectory,
      log,
      enter: (path, limited) => enter(spawner, path, limited),
    },
    signal,
  );
}

async function enter(spawner: Spawner, path: string, signal: AbortSignal): Promise<void> {
  const argv = [SELF_PATH, "enter", "--", "PATH=/usr/bin:/bin", "--", "true"];
  await runOnce(spawner, { argv, network: { type: "file", path }, users: "", leaderKind: "task" }, signal);
}

/** On the host's network there is nothing to hold a task to. */
const NO_NETWORKS: NetworkReport = {
  default: undefined,
  offered: [],
  isFiltered: false,
  reasons: ["tasks are on the host's network: nothing is kept from them, and no policy can be asked for"],
};

function processDriver(
  world: ProcessWorld,
  reach: ProcessReach,
  { log, doors = (): Promise<readonly []> => Promise.resolve([]) }: ProcessDriverOptions,
): ProcessDriver {
  const scope = new Scope();
  const isolation = new ProcessClass(world, {
    reach,
    log,
    doors,
    spawn: (test) => {
      if (scope.signal.aborted)
        test(scope.signal).catch(() => undefined); // does nothing any more
      else scope.spawn(test);
    },
  });
  isolation.begin();
  const peers = new TaskPeers(world.uids, world.networks);
  return {
    name: "process",
    reach,
    get capabilities() {
      const isUsable = isolation.reports().some(({ state }) => state === "usable");
      return { isolation: isUsable ? (["process"] as const) : [], canFreeze: true, canAdopt: false };
    },
    async resolve(image, _options, signal) {
      signal.throwIfAborted();
      const { folder } = await findTaskFolder(world.taskDirectories, image);
      const { digest } = await world.digests.digest(folder, signal);
      return { digest, wasPulled: false };
    },
    async checkImage(image, signal) {
      signal.throwIfAborted();
      refuseUnlessServing(image, await findTaskFolder(world.taskDirectories, image));
    },
    start: (spec, signal) => startSandbox(world, isolation, spec, signal),
    async leftovers(signal) {
      signal.throwIfAborted();
      return await findLeftovers(world);
    },
    ...jobDriver(world, isolation),
    workersNeedImage: false,
    startWorker: (spec, signal) => startWorker(world, spec, signal),
    async health(signal) {
      return await healthOf(world, reach, signal);
    },
    classes: () => isolation.reports(),
    probe: (signal) => isolation.probe(signal),
    configure: () => undefined,
    networks: () => world.networks?.rules.report() ?? NO_NETWORKS,
    isTaskAddress: (peer) => peers.isTask(peer),
    async [Symbol.asyncDispose]() {
      await scope[Symbol.asyncDispose]();
      await closeWorld(world);
    },
  };
}

/** Whether the program that starts tasks answers: one that is stopped by a signal holds up every start. */
async function healthOf(
  { spawner }: ProcessWorld,
  { detail }: ProcessReach,
  signal: AbortSignal,
): Promise<DriverHealth> {
  signal.throwIfAborted();
  const facts = { reason: `the program that starts tasks does not answer within ${HAIL_DEADLINE_MS} ms` };
  try {
    const deadline = { ms: HAIL_DEADLINE_MS, code: "ENGINE_UNAVAILABLE", facts, parent: signal } as const;
    await withDeadline(deadline, (within) => orAbort(spawner.hail(), within));
    return { isHealthy: true, detail };
  } catch (error) {
    signal.throwIfAborted();
    const { facts: told, message } = ExecutorError.from(error);
    return { isHealthy: false, reason: String(told["reason"] ?? message) };
  }
}

/** What runs runs on, for as long as this process does. */
async function closeWorld({ live, spawner, cgroups, networks }: ProcessWorld): Promise<void> {
  for (const running of live.values()) running.unref();
  spawner.close();
  cgroups?.close();
  await networks?.close();
}

function jobDriver(world: ProcessWorld, isolation: ProcessClass): JobDriver {
  return {
    startJob: (spec, signal) => startJob(world, isolation, spec, signal),
    async jobLeftovers(signal) {
      signal.throwIfAborted();
      return await findJobLeftovers(world);
    },
    checkSharedDir: (dir, _image, signal) => checkSharedDir(dir, signal),
  };
}
