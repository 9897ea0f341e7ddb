import type { Leftover, Sandbox } from "../../core/index.ts";
import { ExecutorError, parseRange, policyOf } from "../../core/index.ts";
import { DockerSandbox } from "./container/docker-sandbox.ts";
import type { SandboxLabels } from "./container/labels.ts";
import { LABEL, ownerLabel, readSandboxLabels } from "./container/labels.ts";
import { accepts } from "./container/port-probe.ts";
import { removeContainer } from "./container/remove.ts";
import type { ContainerRow } from "./engine/containers.ts";
import { EngineError, isMissing, toExecutorError } from "./engine/engine-error.ts";
import type { NetworkRow } from "./engine/networks.ts";
import { PROBE_NAME_PREFIX } from "./isolation/probe-sandbox.ts";
import { isNetworkName } from "./network/network-name.ts";
import type { TaskNetwork } from "./network/network-sandbox.ts";
import { subnetOf } from "./network/subnets.ts";
import type { World } from "./world.ts";

const TASK_NAME_PREFIX = "mecanywhere_";

/** A sandbox of an earlier life with the network it runs in. */
interface Found {
  readonly row: ContainerRow;
  readonly labels: SandboxLabels;
  /** The sleeping container it has joined; `undefined` when it is in a network by itself. */
  readonly pause: ContainerRow | undefined;
  readonly network: TaskNetwork | undefined;
  /** Whether the network is what such a task would get now. */
  readonly isAsAsked: boolean;
}

/**
 * Looks for what earlier lives of this owner left in the engine. Sandboxes that run are handed out; all else of ours is
 * removed behind the caller's back, when no start is under way. What this life knows is left alone.
 */
export async function findLeftovers(world: World, signal: AbortSignal): Promise<readonly Leftover[]> {
  const { engine, owner, known } = world;
  try {
    const rows = await engine.containers.list([ownerLabel(owner.ownerId)], { signal });
    const networks = (await engine.networks.list({ signal })).filter(
      ({ id, labels }) => !known.has(id) && isEarlier(world, labels),
    );
    const earlier = rows.filter((row) => !known.has(row.id) && isOurs(row) && isEarlier(world, row.labels));
    const found = earlier.flatMap((row) => describe(world, row, rows, networks) ?? []);
    sweep(world, earlier, networks, found);
    return found.map((one) => toLeftover(world, one));
  } catch (thrown) {
    signal.throwIfAborted();
    throw toExecutorError(thrown);
  }
}

/** An image may bring labels of its own into a stranger's container; it cannot bring our kind of name as well. */
function isOurs(row: ContainerRow): boolean {
  const kind = row.labels[LABEL.KIND];
  if (kind === "network") return isNetworkName(row.name);
  return row.name.startsWith(kind === "probe" ? PROBE_NAME_PREFIX : TASK_NAME_PREFIX);
}

function isEarlier({ owner }: World, labels: Readonly<Record<string, string>>): boolean {
  return labels[LABEL.OWNER] === owner.ownerId && labels[LABEL.INSTANCE] !== owner.instanceId;
}

/** What there is to take over; `undefined` for anything that does not run or does not say what it is. */
function describe(
  world: World,
  row: ContainerRow,
  rows: readonly ContainerRow[],
  networks: readonly NetworkRow[],
): Found | undefined {
  const labels = readSandboxLabels(row.labels);
  if (labels === undefined || (row.state !== "running" && row.state !== "paused")) return undefined;
  const joined = row.networkMode.startsWith("container:")
    ? row.networkMode.slice("container:".length)
    : undefined;
  const pause = joined === undefined ? undefined : rows.find(({ id }) => id === joined);
  const networkRow = networks.find(({ name }) => name === (pause?.name ?? row.networkMode));
  const network = networkRow === undefined ? undefined : toNetwork(networkRow, world);
  const isRight =
    networkRow !== undefined && network !== undefined && isAsAsked(world, labels, network, networkRow);
  return { row, labels, pause, network, isAsAsked: isRight };
}

/** What a network lets its tasks reach is what its address says: the rules go by that. */
function toNetwork({ id, name, subnets }: NetworkRow, { rules }: World): TaskNetwork | undefined {
  const range = parseRange(subnets[0] ?? "");
  if (range === undefined) return undefined;
  // One outside of our range is of an earlier setting: it is never adopted, and to be removed it needs no policy.
  const policy = policyOf(rules.ranges, range.base) ?? "none";
  return { id, name, subnet: subnetOf(range), policy };
}

/** Whether a network of an earlier life still gives a task what it asked for, and no more. */
function isAsAsked(
  { rules }: World,
  { task }: SandboxLabels,
  network: TaskNetwork,
  row: NetworkRow,
): boolean {
  const policy = task.network === "default" ? rules.settings.default : task.network;
  const isSame = row.labels[LABEL.POLICY] === policy && network.policy === policy;
  return isSame && rules.report().offered.includes(policy) && row.isInternal === rules.isInternal(policy);
}

/** Removes containers first: a network with somebody in it cannot go. */
function sweep(
  world: World,
  earlier: readonly ContainerRow[],
  networks: readonly NetworkRow[],
  found: readonly Found[],
): void {
  const { engine, maker, pool, log } = world;
  const kept = new Set(found.flatMap(({ row, pause, network }) => [row.id, pause?.id, network?.id]));
  const orphans = earlier.filter(({ id }) => !kept.has(id));
  const empty = networks.filter(({ id }) => !kept.has(id)).flatMap((row) => toNetwork(row, world) ?? []);
  for (const orphan of orphans) pool.later(() => removeContainer(engine, orphan.id));
  for (const network of empty) pool.later(() => maker.removeNetwork(network));
  if (orphans.length + empty.length > 0) {
    log?.log("info", "network.swept", { containers: orphans.length, networks: empty.length });
  }
}

function toLeftover(world: World, found: Found): Leftover {
  const { sandboxId, task, imageDigest, gpuIds } = found.labels;
  return {
    sandboxId,
    task,
    imageDigest,
    gpuIds,
    isFrozen: found.row.state === "paused",
    adopt: (signal) => adopt(world, found, signal),
    reap: (signal) => reap(world, found, signal),
  };
}

async function adopt(world: World, found: Found, signal: AbortSignal): Promise<Sandbox> {
  const { row, labels } = found;
  const { engine, reach } = world;
  signal.throwIfAborted();
  const network = wholeNetwork(found);
  const watch = world.deaths.watch(row.id, labels.task.resources.memoryBytes);
  try {
    const facts = await engine.containers.inspect(row.id, { signal });
    if (!facts.isRunning) throw notWhole("it does not run any more");
    await proveClass(world, labels, facts.runtime, signal);
    if (reach.type === "member") await joinAgain(world, network, reach.containerId);
    const endpoint = await world.maker.endpointOf(found.pause?.id ?? row.id, network);
    if (!(await accepts(endpoint, { isProxied: reach.type === "published" })))
      throw notWhole("its port does not accept");
    signal.throwIfAborted();
    world.known.add(row.id);
    world.known.add(network.id);
    if (found.pause !== undefined) world.known.add(found.pause.id);
    return new DockerSandbox(engine, {
      id: labels.sandboxId,
      taskKey: labels.taskKey,
      task: labels.task,
      imageDigest: labels.imageDigest,
      containerId: row.id,
      label: row.name,
      isolation: labels.isolation,
      endpoint,
      phases: { createMs: 0, startMs: 0, readyMs: 0 },
      warnings: [],
      watch,
      isFrozen: facts.isPaused,
      // Its network was made by another life, perhaps by other rules: it serves nobody else.
      onRemoved: () => removeNetworkOf(world, found),
    });
  } catch (thrown) {
    watch.forget();
    signal.throwIfAborted();
    throw toExecutorError(thrown);
  }
}

/** @throws {@link ExecutorError} SANDBOX_LOST when it is gone, or would be another for a task started now. */
function wholeNetwork({ row, network, pause, isAsAsked }: Found): NonNullable<Found["network"]> {
  const isJoined = row.networkMode.startsWith("container:");
  if (network === undefined || (isJoined && pause?.state !== "running")) {
    throw notWhole("its task network is gone");
  }
  if (!isAsAsked) throw notWhole("its network is not what such a task gets now");
  return network;
}

/** What its labels say is believed only as far as the engine agrees, and its class still is what it was. */
async function proveClass(
  { classes }: World,
  { isolation, runtime }: SandboxLabels,
  seen: string,
  signal: AbortSignal,
): Promise<void> {
  // Sessions end with the daemon that keeps them, and the operator may have changed what such a task is given.
  if (isolation === "sgx") throw notWhole("an enclave's server is not taken over");
  if (isolation === "container" && runtime === undefined) return;
  if (seen !== runtime)
    throw notWhole(`it runs in ${seen}, and was made to run in ${runtime ?? "the default"}`);
  await classes.prove(isolation, runtime, signal);
}

async function reap(world: World, found: Found, signal: AbortSignal): Promise<void> {
  signal.throwIfAborted();
  try {
    await removeContainer(world.engine, found.row.id);
    removeNetworkOf(world, found);
  } catch (thrown) {
    throw toExecutorError(thrown);
  }
}

function removeNetworkOf({ engine, maker, pool, known }: World, { row, pause, network }: Found): void {
  known.delete(row.id);
  pool.later(async () => {
    if (pause !== undefined) await removeContainer(engine, pause.id);
    if (network !== undefined) await maker.removeNetwork(network);
    if (pause !== undefined) known.delete(pause.id);
    if (network !== undefined) known.delete(network.id);
  });
}

/** The daemon's own container may be a new one, or may never have left. */
async function joinAgain(world: World, network: TaskNetwork, ownContainerId: string): Promise<void> {
  try {
    await world.engine.networks.connect(network.id, ownContainerId, network.subnet.daemonAddress);
  } catch (thrown) {
    if (!(thrown instanceof EngineError) || isMissing(thrown)) throw thrown;
    // Already a member: then the port tells whether that is true.
  }
}

function notWhole(reason: string): ExecutorError {
  return new ExecutorError("SANDBOX_LOST", { reason });
}
