import type { JobLeftover, Leftover, Sandbox } from "../../core/index.ts";
import { DockerSandbox } from "./container/docker-sandbox.ts";
import type { SandboxLabels } from "./container/labels.ts";
import { LABEL, ownerLabel, readSandboxLabels } from "./container/labels.ts";
import { JOB_NAME_PREFIX, WORKER_NAME_PREFIX } from "./container/name.ts";
import { accepts } from "./container/port-probe.ts";
import { proveClass } from "./container/prove-class.ts";
import { removeContainer } from "./container/remove.ts";
import type { ContainerRow } from "./engine/containers.ts";
import { EngineError, isMissing, toExecutorError } from "./engine/engine-error.ts";
import { PROBE_NAME_PREFIX } from "./isolation/probe-sandbox.ts";
import { roomOfJob, toJobLeftover } from "./job/job-leftover.ts";
import { HELPER_NAME_PREFIX } from "./job/run-helper.ts";
import type { LeftRoom, LeftThings } from "./left-room.ts";
import { claimRoom, findRoom, notWhole, removeRoomOf, toNetwork, wholeNetwork } from "./left-room.ts";
import { isNetworkName } from "./network/network-name.ts";
import type { TaskNetwork } from "./network/network-sandbox.ts";
import type { World } from "./world.ts";

const TASK_NAME_PREFIX = "mecanywhere_";

/** A sandbox of an earlier life with the network it runs in. */
interface Found extends LeftRoom {
  readonly row: ContainerRow;
  readonly labels: SandboxLabels;
}

/**
 * Looks for what earlier lives of this owner left in the engine. Sandboxes that run are handed out; all else of ours is
 * removed behind the caller's back, when no start is under way. What this life knows is left alone, and so are jobs and what
 * they run in: `findJobLeftovers` hands them out.
 */
export async function findLeftovers(world: World, signal: AbortSignal): Promise<readonly Leftover[]> {
  try {
    const left = await findLeft(world, signal);
    const earlier = left.rows.filter((row) => isEarlierOfOurs(world, row));
    const found = earlier.flatMap((row) => describe(world, row, left) ?? []);
    sweep(world, earlier, left, found);
    return found.map((one) => toLeftover(world, one));
  } catch (thrown) {
    signal.throwIfAborted();
    throw toExecutorError(thrown);
  }
}

/** The same for jobs, those included that have ended meanwhile. Nothing is removed but what the caller reaps. */
export async function findJobLeftovers(world: World, signal: AbortSignal): Promise<readonly JobLeftover[]> {
  try {
    const left = await findLeft(world, signal);
    const jobs = left.rows.filter((row) => isEarlierOfOurs(world, row) && isJob(row));
    return jobs.map((row) => toJobLeftover(world, row, left));
  } catch (thrown) {
    signal.throwIfAborted();
    throw toExecutorError(thrown);
  }
}

async function findLeft(world: World, signal: AbortSignal): Promise<LeftThings> {
  const { engine, owner, known } = world;
  const rows = await engine.containers.list([ownerLabel(owner.ownerId)], { signal });
  const networks = (await engine.networks.list({ signal })).filter(
    ({ id, labels }) => !known.has(id) && isEarlier(world, labels),
  );
  return { rows, networks };
}

function isEarlierOfOurs(world: World, row: ContainerRow): boolean {
  return !world.known.has(row.id) && isOurs(row) && isEarlier(world, row.labels);
}

/** An image may bring labels of its own into a stranger's container; it cannot bring our kind of name as well. */
function isOurs(row: ContainerRow): boolean {
  const kind = row.labels[LABEL.KIND];
  if (kind === "network") return isNetworkName(row.name);
  return row.name.startsWith(PREFIXES[kind ?? ""] ?? TASK_NAME_PREFIX);
}

const PREFIXES: Readonly<Record<string, string>> = {
  probe: PROBE_NAME_PREFIX,
  job: JOB_NAME_PREFIX,
  worker: WORKER_NAME_PREFIX,
  helper: HELPER_NAME_PREFIX,
};

/** Or a worker, which is among the jobs wherever it is not taken over. */
function isJob(row: ContainerRow): boolean {
  const kind = row.labels[LABEL.KIND];
  return kind === "job" || kind === "worker";
}

function isEarlier({ owner }: World, labels: Readonly<Record<string, string>>): boolean {
  return labels[LABEL.OWNER] === owner.ownerId && labels[LABEL.INSTANCE] !== owner.instanceId;
}

/** What there is to take over; `undefined` for anything that does not run or does not say what it is. */
function describe(world: World, row: ContainerRow, left: LeftThings): Found | undefined {
  const labels = readSandboxLabels(row.labels);
  if (labels === undefined || (row.state !== "running" && row.state !== "paused")) return undefined;
  return { row, labels, ...findRoom(world, row, labels.task, left) };
}

/** Removes containers first: a network with somebody in it cannot go. */
function sweep(
  world: World,
  earlier: readonly ContainerRow[],
  left: LeftThings,
  found: readonly Found[],
): void {
  const { engine, maker, pool, log } = world;
  const jobs = earlier.filter(isJob);
  const rooms = [...found, ...jobs.map((row) => ({ row, ...roomOfJob(world, row, left) }))];
  const kept = new Set(rooms.flatMap(({ row, pause, network }) => [row.id, pause?.id, network?.id]));
  const orphans = earlier.filter(({ id }) => !kept.has(id));
  const empty = left.networks.filter(({ id }) => !kept.has(id)).flatMap((row) => toNetwork(row, world) ?? []);
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
  const network = wholeNetwork(row, found);
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
    claimRoom(world, row, found);
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
      onRemoved: () => removeRoomOf(world, row, found),
    });
  } catch (thrown) {
    watch.forget();
    signal.throwIfAborted();
    throw toExecutorError(thrown);
  }
}

async function reap(world: World, found: Found, signal: AbortSignal): Promise<void> {
  signal.throwIfAborted();
  try {
    await removeContainer(world.engine, found.row.id);
    removeRoomOf(world, found.row, found);
  } catch (thrown) {
    throw toExecutorError(thrown);
  }
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
