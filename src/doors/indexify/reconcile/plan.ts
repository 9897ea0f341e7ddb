import { AllocationFailureReason, type ContainerTerminationReason } from "../../../gen/executor_api_pb.js";
import type { AllocationOrder, ContainerOrder } from "../commands/orders.ts";
import { failureOfWaiting } from "./reasons.ts";

/** What the plan knows of a container that is wanted. */
interface Named {
  readonly id: string;
}

/** What the server wants of this host. */
export interface Wanted<C extends Named = ContainerOrder> {
  readonly containers: ReadonlyMap<string, C>;
  /** Those that have no outcome yet. */
  readonly allocations: ReadonlyMap<string, AllocationOrder>;
}

/** A worker as it is: it starts, runs, is being ended, or has ended and is still remembered. */
export type ContainerCondition =
  | { readonly type: "starting" }
  | { readonly type: "running" }
  | { readonly type: "stopping" }
  | { readonly type: "terminated"; readonly reason: ContainerTerminationReason };

/** What there is on this host. */
export interface Observed {
  readonly containers: ReadonlyMap<string, ContainerCondition>;
  /** Those that have begun. */
  readonly allocations: ReadonlySet<string>;
}

export type Step<C extends Named = ContainerOrder> =
  | { readonly type: "start-container"; readonly container: C }
  | { readonly type: "stop-container"; readonly containerId: string }
  | { readonly type: "forget-container"; readonly containerId: string }
  | { readonly type: "begin-allocation"; readonly allocation: AllocationOrder }
  /** It never began. Its worker is dead, and the server is told so with it. */
  | {
      readonly type: "fail-allocation";
      readonly allocation: AllocationOrder;
      readonly reason: AllocationFailureReason;
    };

/**
 * The way from what there is to what is wanted. Pure, and at rest exactly when the two agree: the same question asked again
 * after its steps were begun has no further answer. A worker that is wanted anew while its predecessor is being ended
 * waits for that; so there are never two of one id.
 */
export function plan<C extends Named>(wanted: Wanted<C>, observed: Observed): readonly Step<C>[] {
  return [...removals(wanted, observed), ...additions(wanted, observed), ...allocations(wanted, observed)];
}

function* removals<C extends Named>(wanted: Wanted<C>, observed: Observed): Iterable<Step<C>> {
  for (const [containerId, condition] of observed.containers) {
    if (wanted.containers.has(containerId)) continue;
    if (condition.type === "terminated") yield { type: "forget-container", containerId };
    else if (condition.type !== "stopping") yield { type: "stop-container", containerId };
  }
}

function* additions<C extends Named>(wanted: Wanted<C>, observed: Observed): Iterable<Step<C>> {
  for (const container of wanted.containers.values()) {
    if (!observed.containers.has(container.id)) yield { type: "start-container", container };
  }
}

function* allocations<C extends Named>(wanted: Wanted<C>, observed: Observed): Iterable<Step<C>> {
  for (const allocation of wanted.allocations.values()) {
    if (observed.allocations.has(allocation.id)) continue;
    const condition = observed.containers.get(allocation.containerId);
    const isWanted = wanted.containers.has(allocation.containerId);
    if (condition?.type === "terminated") {
      yield { type: "fail-allocation", allocation, reason: failureOfWaiting(condition.reason) };
    } else if (!isWanted) {
      const reason = AllocationFailureReason.CONTAINER_TERMINATED;
      yield { type: "fail-allocation", allocation, reason };
    } else if (condition?.type === "starting" || condition?.type === "running") {
      yield { type: "begin-allocation", allocation };
    }
  }
}
