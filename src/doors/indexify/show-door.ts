import { ContainerTerminationReason } from "../../gen/executor_api_pb.js";
import { functionText } from "./commands/orders.ts";
import type { Desk } from "./desk/desk.ts";
import type { ContainerCondition } from "./reconcile/plan.ts";

/** The work that a server wants done here: what its commands come to. */
export interface WantedWork {
  readonly containers: readonly WantedContainer[];
  readonly allocations: readonly WantedAllocation[];
}

/** What there is of it on this host. */
export interface ObservedWork {
  readonly containers: readonly ObservedContainer[];
  readonly allocations: readonly ObservedAllocation[];
}

export interface WantedContainer {
  readonly id: string;
  /** `namespace:application:function[:version]`; `sandbox:image` of a sandbox. */
  readonly function: string;
}

export interface ObservedContainer extends WantedContainer {
  readonly state: ContainerCondition["type"];
  /** Why it has ended. */
  readonly reason?: string;
}

export interface WantedAllocation {
  readonly id: string;
  readonly containerId: string;
  readonly requestId: string;
}

export interface ObservedAllocation extends WantedAllocation {
  readonly phase: string;
}

/** What the server has asked for and not taken back, and what has no outcome yet; in the order in which it came. */
export function wantedWork({ wanted, sandboxes }: Pick<Desk, "wanted" | "sandboxes">): WantedWork {
  return {
    containers: [...wanted.containers.map(namedWorker), ...sandboxes.wanted.map(namedSandbox)],
    allocations: wanted.allocations.map(namedAllocation),
  };
}

/** What the desk has before it, also what is on its way out; in the order in which it came. */
export function observedWork({
  containers,
  sandboxes,
  allocations,
}: Pick<Desk, "containers" | "sandboxes" | "allocations">): ObservedWork {
  return {
    containers: [
      ...containers.map(({ order, condition }) => ({ ...namedWorker(order), ...shown(condition) })),
      ...sandboxes.sandboxes.map(({ order, condition }) => ({
        ...namedSandbox(order),
        ...shown(condition),
      })),
    ],
    allocations: allocations.map(({ order, phase }) => ({ ...namedAllocation(order), phase })),
  };
}

function shown(condition: ContainerCondition): Pick<ObservedContainer, "state" | "reason"> {
  const { type: state } = condition;
  return state === "terminated" ? { state, reason: ContainerTerminationReason[condition.reason] } : { state };
}

function namedWorker({ id, function: called }: Desk["wanted"]["containers"][number]): WantedContainer {
  return { id, function: functionText(called) };
}

function namedSandbox({ id, description }: Desk["sandboxes"]["wanted"][number]): WantedContainer {
  return { id, function: `sandbox:${description.sandboxMetadata?.image ?? ""}` };
}

function namedAllocation({
  id,
  containerId,
  requestId,
}: Desk["wanted"]["allocations"][number]): WantedAllocation {
  return { id, containerId, requestId };
}
