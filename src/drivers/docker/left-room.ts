import type { TaskSpec } from "../../core/index.ts";
import { ExecutorError, parseRange, policyOf } from "../../core/index.ts";
import { LABEL } from "./container/labels.ts";
import { removeContainer } from "./container/remove.ts";
import type { ContainerRow } from "./engine/containers.ts";
import type { NetworkRow } from "./engine/networks.ts";
import type { TaskNetwork } from "./network/network-sandbox.ts";
import { subnetOf } from "./network/subnets.ts";
import type { World } from "./world.ts";

/** The network that a container of an earlier life runs in. */
export interface LeftRoom {
  /** The sleeping container it has joined; `undefined` when it is in a network by itself. */
  readonly pause: ContainerRow | undefined;
  readonly network: TaskNetwork | undefined;
  /** Whether the network is what such a task would get now. */
  readonly isAsAsked: boolean;
}

/** All that earlier lives of an owner left in an engine. */
export interface LeftThings {
  /** Every container that carries the owner. */
  readonly rows: readonly ContainerRow[];
  /** Networks of earlier lives. */
  readonly networks: readonly NetworkRow[];
}

export function findRoom(world: World, row: ContainerRow, task: TaskSpec, left: LeftThings): LeftRoom {
  const joined = joinedId(row);
  const pause = joined === undefined ? undefined : left.rows.find(({ id }) => id === joined);
  const networkRow = left.networks.find(({ name }) => name === (pause?.name ?? row.networkMode));
  const network = networkRow === undefined ? undefined : toNetwork(networkRow, world);
  const isRight =
    networkRow !== undefined && network !== undefined && isAsAsked(world, task, network, networkRow);
  return { pause, network, isAsAsked: isRight };
}

/** What a network lets its tasks reach is what its address says: the rules go by that. */
export function toNetwork({ id, name, subnets }: NetworkRow, { rules }: World): TaskNetwork | undefined {
  const range = parseRange(subnets[0] ?? "");
  if (range === undefined) return undefined;
  // One outside of our range is of an earlier setting: it is never adopted, and to be removed it needs no policy.
  const policy = policyOf(rules.ranges, range.base) ?? "none";
  return { id, name, subnet: subnetOf(range), policy };
}

/** @throws {@link ExecutorError} SANDBOX_LOST when it is gone, or would be another for a task started now. */
export function wholeNetwork(
  row: ContainerRow,
  { network, pause, isAsAsked: isRight }: LeftRoom,
): TaskNetwork {
  if (network === undefined || (joinedId(row) !== undefined && pause?.state !== "running")) {
    throw notWhole("its task network is gone");
  }
  if (!isRight) throw notWhole("its network is not what such a task gets now");
  return network;
}

/** Removes the container's network behind the caller's back, once the container itself is gone. */
export function removeRoomOf(
  { engine, maker, pool, known }: World,
  row: ContainerRow,
  { pause, network }: LeftRoom,
): void {
  known.delete(row.id);
  pool.later(async () => {
    if (pause !== undefined) await removeContainer(engine, pause.id);
    if (network !== undefined) await maker.removeNetwork(network);
    if (pause !== undefined) known.delete(pause.id);
    if (network !== undefined) known.delete(network.id);
  });
}

/** From now on all of it is this life's. */
export function claimRoom({ known }: World, row: ContainerRow, { pause, network }: LeftRoom): void {
  for (const one of [row, pause, network]) if (one !== undefined) known.add(one.id);
}

export function notWhole(reason: string): ExecutorError {
  return new ExecutorError("SANDBOX_LOST", { reason });
}

function joinedId({ networkMode }: ContainerRow): string | undefined {
  return networkMode.startsWith("container:") ? networkMode.slice("container:".length) : undefined;
}

/** Whether a network of an earlier life still gives a task what it asked for, and no more. */
function isAsAsked({ rules }: World, task: TaskSpec, network: TaskNetwork, row: NetworkRow): boolean {
  const policy = task.network === "default" ? rules.settings.default : task.network;
  const isSame = row.labels[LABEL.POLICY] === policy && network.policy === policy;
  return isSame && rules.report().offered.includes(policy) && row.isInternal === rules.isInternal(policy);
}
