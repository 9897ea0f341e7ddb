import type { Desk } from "./desk/desk.ts";

/** The work that a server wants done here. */
export interface WantedWork {
  readonly containers: readonly WantedContainer[];
  readonly allocations: readonly WantedAllocation[];
}

export interface WantedContainer {
  readonly id: string;
  /** `namespace:application:function[:version]`; `sandbox:image` of a sandbox. */
  readonly function: string;
  readonly state: "starting" | "running" | "stopping" | "terminated";
}

export interface WantedAllocation {
  readonly id: string;
  readonly containerId: string;
  readonly requestId: string;
  readonly phase: string;
}

/** What the desk has before it, in the order in which it came. */
export function wantedWork({
  containers,
  sandboxes,
  allocations,
}: Pick<Desk, "containers" | "sandboxes" | "allocations">): WantedWork {
  const workers = containers.map(({ order, condition }): WantedContainer => {
    const { namespace, application, name, version } = order.function;
    const parts = [namespace, application, name, ...(version === undefined ? [] : [version])];
    return { id: order.id, function: parts.join(":"), state: condition.type };
  });
  const others = sandboxes.sandboxes.map(({ order, condition }): WantedContainer => {
    const image = order.description.sandboxMetadata?.image ?? "";
    return { id: order.id, function: `sandbox:${image}`, state: condition.type };
  });
  return {
    containers: [...workers, ...others],
    allocations: allocations.map(({ order: { id, containerId, requestId }, phase }) => ({
      ...{ id, containerId, requestId, phase },
    })),
  };
}
