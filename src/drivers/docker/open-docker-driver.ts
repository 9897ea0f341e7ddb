import { setMaxListeners } from "node:events";
import type {
  DriverHealth,
  Log,
  NetworkPolicy,
  PeerAddress,
  PolicyRanges,
  Range,
  SandboxDriver,
} from "../../core/index.ts";
import {
  contains,
  DEFAULT_NETWORK_SETTINGS,
  ExecutorError,
  NETWORK_POLICIES,
  parseAddress,
  parseRange,
  policyRanges,
} from "../../core/index.ts";
import { Scope, systemClock } from "../../std/index.ts";
import { boundedWork } from "./bounded-work.ts";
import { CardTrial, cardTrier } from "./cards/card-trial.ts";
import { Deaths } from "./container/deaths.ts";
import type { Owner } from "./container/labels.ts";
import { ownerLabel } from "./container/labels.ts";
import { seccompProfile } from "./container/seccomp.ts";
import { startSandbox } from "./container/start-sandbox.ts";
import { engineSocket } from "./engine/connection.ts";
import type { Engine } from "./engine/engine.ts";
import { openEngine } from "./engine/engine.ts";
import { toExecutorError } from "./engine/engine-error.ts";
import { ImageResolver } from "./image/resolve-image.ts";
import { ClassBook } from "./isolation/class-book.ts";
import { openProber } from "./isolation/prober.ts";
import { checkSharedDir } from "./job/check-shared-dir.ts";
import { startJob } from "./job/start-job.ts";
import { WorkFiles } from "./job/work-files.ts";
import { findJobLeftovers, findLeftovers } from "./leftovers.ts";
import { NetworkMaker } from "./network/make-network.ts";
import { NetworkPool } from "./network/network-pool.ts";
import { NetworkRules } from "./network/network-rules.ts";
import { ensurePauseImage } from "./network/pause-image.ts";
import type { ReachPlan } from "./network/reach.ts";
import { planReach } from "./network/reach.ts";
import { SUBNET_BITS, Subnets } from "./network/subnets.ts";
import type { DockerDriverOptions } from "./options.ts";
import {
  DEFAULT_NETWORK_RANGE,
  DEFAULT_NETWORKS_AHEAD,
  DEFAULT_PULL_STALL_MS,
  DEFAULT_PULL_TIMEOUT_MS,
} from "./options.ts";
import { SgxHost } from "./sgx/sgx-host.ts";
import { startWorker } from "./worker/start-worker.ts";
import { WorkerLimits } from "./worker/worker-limits.ts";
import type { World } from "./world.ts";

/** How long closing waits for tidying that is under way. */
const BACKGROUND_CLOSE_MS = 8000;
/** And for what is left to do after that. */
const LATE_CLOSE_MS = 3000;

/**
 * Connects to a Docker engine and begins to keep network sandboxes ready. Disposing the driver removes those and leaves the
 * tasks' sandboxes to the next life of the same owner.
 *
 * @throws {@link ExecutorError} ENGINE_UNAVAILABLE if no engine answers or it is too old or new; ENGINE_FAILED if it cannot
 * run network sandboxes or has seccomp switched off; CONFIG_INVALID for a bad address or range; the signal's reason.
 */
export async function openDockerDriver(
  options: DockerDriverOptions,
  signal: AbortSignal,
): Promise<SandboxDriver> {
  const range = parseNetworkRange(options.networkRange ?? DEFAULT_NETWORK_RANGE);
  const scope = new Scope();
  setMaxListeners(0, scope.signal); // every job's figures listen to it
  try {
    const engine = await openEngine(options, signal);
    if (!engine.isSeccompOn) {
      throw new ExecutorError("ENGINE_FAILED", { reason: "the engine runs without seccomp; tasks need it" });
    }
    for (const warning of warningsAbout(engine)) {
      options.log?.log("warn", "driver.degraded", { driver: "docker", warning });
    }
    const world = await openWorld(engine, range, options, scope, signal);
    scope.spawn((within) => world.deaths.follow(within));
    world.pool.open();
    world.classes.testUnless("usable");
    return toDriver(world, range, options, scope);
  } catch (thrown) {
    await scope[Symbol.asyncDispose]();
    signal.throwIfAborted();
    throw toExecutorError(thrown);
  }
}

async function openWorld(
  engine: Engine,
  range: Range,
  options: DockerDriverOptions,
  scope: Scope,
  signal: AbortSignal,
): Promise<World> {
  const { ownerId, instanceId, log } = options;
  const owner: Owner = { ownerId, instanceId };
  const [reach, pauseImage] = await Promise.all([
    planReach(options.reach ?? "auto", engine, signal),
    ensurePauseImage(engine, signal),
  ]);
  if (options.reach === "member" && reach.type !== "member") {
    throw new ExecutorError("CONFIG_INVALID", {
      reason: "reach: member, but the daemon runs in no container of this engine",
    });
  }
  const seccomp = engine.hasOwnSeccompProfile ? undefined : seccompProfile(engine.architecture);
  const rules = scope.use(await openRules(engine, range, owner, reach, options));
  const subnets = cutByPolicy(rules.ranges);
  const inBackground = openBackground(scope, log);
  const shared = { owner, seccomp, closing: scope.signal, inBackground };
  const maker = new NetworkMaker(engine, { ...shared, rules, reach, subnets, pauseImage });
  await maker.refreshForeign();
  const ahead = options.networksAhead ?? DEFAULT_NETWORKS_AHEAD;
  const pool = scope.use(new NetworkPool(maker, { ahead, log, inBackground, nowMs: systemClock.nowMs }));
  let onRegained = (): void => undefined;
  const deaths = new Deaths(engine, ownerLabel(ownerId), log, () => {
    pool.dropAll();
    onRegained();
    // An engine that starts anew arranges the host's rules anew, and whoever restarted it perhaps more than that.
    scope.spawn(() => rules.check());
  });
  const known = new Set<string>();
  const helpers = { ...shared, engine, deaths, log, known };
  const files = new WorkFiles(helpers);
  const workerLimits = new WorkerLimits(log);
  const parts = { ...helpers, files, reach, maker, pool, rules, workerLimits };
  const spawn = spawner(scope);
  const classes = openClasses(parts, options, spawn);
  const settings = { runtimes: options.runtimes ?? [] };
  const cards = new CardTrial({ settings, log, tryCard: cardTrier(parts), spawn });
  onRegained = () => {
    classes.forget();
    cards.again();
  };
  return { ...parts, classes, cards };
}

/** Opened before all else that tidies, so that it closes last: what the others leave to it while they close is waited for too. */
function openBackground(scope: Scope, log: Log | undefined): World["inBackground"] {
  const late = new Set<Promise<unknown>>();
  const untilDone = async (): Promise<void> => {
    while (late.size > 0) await Promise.all(late);
  };
  scope.defer(() => boundedWork(untilDone(), AbortSignal.abort(), LATE_CLOSE_MS));
  return (work) => {
    const tidying = work().catch((error: unknown) => log?.log("warn", "sandbox.leaked", { error }));
    if (!scope.signal.aborted) {
      scope.spawn((closing) => boundedWork(tidying, closing, BACKGROUND_CLOSE_MS));
      return;
    }
    late.add(tidying);
    const forget = (): boolean => late.delete(tidying);
    tidying.then(forget, forget);
  };
}

type Spawn = (work: (signal: AbortSignal) => Promise<void>) => void;

/** Runs what is of use only while the driver is open. */
function spawner(scope: Scope): Spawn {
  return (work) => {
    if (scope.signal.aborted)
      work(scope.signal).catch(() => undefined); // does nothing any more
    else scope.spawn(work);
  };
}

function openClasses(
  parts: Omit<World, "classes" | "cards">,
  options: DockerDriverOptions,
  spawn: Spawn,
): ClassBook {
  const { log, doors = (): Promise<readonly []> => Promise.resolve([]), runtimes = [] } = options;
  return new ClassBook({
    settings: { runtimes },
    prober: openProber(parts, doors),
    sgx: openSgx(parts, options),
    log,
    nowMs: systemClock.nowMs,
    definitionOf: async (runtime, signal) => (await parts.engine.runtimes(signal)).definitions.get(runtime),
    spawn,
  });
}

function openSgx({ engine, reach }: Pick<World, "engine" | "reach">, options: DockerDriverOptions): SgxHost {
  return new SgxHost({
    settings: options.sgx ?? { isEnabled: false, device: "", aesmFolder: "" },
    seesHost: engine.isLocal && reach.type !== "member",
    engineSocket: engineSocket(options),
  });
}

/** Sets the rules, and says once what is not enforced without them. */
async function openRules(
  engine: Engine,
  whole: Range,
  owner: Owner,
  reach: ReachPlan,
  { network: settings = DEFAULT_NETWORK_SETTINGS, log }: DockerDriverOptions,
): Promise<NetworkRules> {
  const ranges = policyRanges(whole, SUBNET_BITS, settings.default);
  const rules = await NetworkRules.open(engine, { owner, reach, whole, ranges, settings, log });
  const { isFiltered, reasons } = rules.report();
  if (!isFiltered) log?.log("warn", "firewall.failed", { driver: "docker", reasons });
  if (reach.type === "published" && !isFiltered) {
    const warning =
      "published ports need networks that are not internal: tasks may send packets out, but get no answer";
    log?.log("warn", "driver.degraded", { driver: "docker", warning });
  }
  return rules;
}

function cutByPolicy(ranges: PolicyRanges): ReadonlyMap<NetworkPolicy, Subnets> {
  const parts = NETWORK_POLICIES.flatMap((policy): [NetworkPolicy, Subnets][] => {
    const range = ranges[policy];
    return range === undefined ? [] : [[policy, new Subnets(range, Math.random())]];
  });
  return new Map(parts);
}

/** What this engine's host cannot do for every task. */
function warningsAbout({ missingLimits, hasInit }: Engine): readonly string[] {
  const unlimited = missingLimits.map(
    (limit) => `the engine's host does not enforce ${limit}: tasks may take more than they were given`,
  );
  return hasInit
    ? unlimited
    : [...unlimited, "docker-init is not installed: a task has to reap its own children"];
}

function toDriver(world: World, range: Range, options: DockerDriverOptions, scope: Scope): SandboxDriver {
  const resolver = new ImageResolver(world.engine, {
    registryConfigPath: options.registryConfigPath,
    timeoutMs: options.pullTimeoutMs ?? DEFAULT_PULL_TIMEOUT_MS,
    stallMs: options.pullStallMs ?? DEFAULT_PULL_STALL_MS,
    closing: scope.signal,
    nowMs: systemClock.nowMs,
    log: options.log,
  });
  return {
    name: "docker",
    get capabilities() {
      return { isolation: world.classes.usable(), canFreeze: true, canAdopt: true };
    },
    cards: world.cards,
    resolve: (image, resolveOptions, signal) => resolver.resolve(image, resolveOptions, signal),
    checkImage: (image, signal) => resolver.check(image, signal),
    start: (spec, signal) => startSandbox(world, spec, signal),
    leftovers: (signal) => findLeftovers(world, signal),
    startJob: (spec, signal) => startJob(world, spec, signal),
    jobLeftovers: (signal) => findJobLeftovers(world, signal),
    workersNeedImage: true,
    startWorker: (spec, signal) => startWorker(world, spec, signal),
    checkSharedDir: (dir, _image, signal) => checkSharedDir(world, dir, signal),
    health: (signal) => health(world.engine, signal),
    classes: () => world.classes.reports(),
    probe: (signal, isolation) => {
      if (isolation === undefined) world.cards.again();
      return world.classes.probe(signal, isolation);
    },
    configure: (settings) => {
      world.classes.configure(settings);
      world.cards.configure(settings);
    },
    networks: () => world.rules.report(),
    isTaskAddress: ({ remoteAddress }: PeerAddress) => {
      const address = parseAddress(remoteAddress);
      return address !== undefined && contains(range, address);
    },
    [Symbol.asyncDispose]: () => scope[Symbol.asyncDispose](),
  };
}

async function health(engine: Engine, signal: AbortSignal): Promise<DriverHealth> {
  try {
    await engine.ping(signal);
    return { isHealthy: true, detail: `Docker Engine ${engine.versions.engine}, API ${engine.api}` };
  } catch (thrown) {
    signal.throwIfAborted();
    const { facts, message } = toExecutorError(thrown);
    return { isHealthy: false, reason: String(facts["reason"] ?? message) };
  }
}

function parseNetworkRange(text: string): Range {
  const range = parseRange(text);
  if (range !== undefined && range.bits <= 29 && range.bits >= 8) return range;
  const reason = "the task network range must be an IPv4 range between /8 and /29, such as 10.213.0.0/16";
  throw new ExecutorError("CONFIG_INVALID", { networkRange: JSON.stringify(text), reason });
}
