import type { IndexifyFigures } from "../../../telemetry/metrics/index.ts";
import type { Desk } from "../desk/desk.ts";

/** How the door is now, for the metrics. */
export function doorFigures(
  { wanted, containers, allocations }: Pick<Desk, "wanted" | "containers" | "allocations">,
  link: Pick<IndexifyFigures, "state" | "isHealthy">,
): IndexifyFigures {
  return {
    ...link,
    wanted: { containers: wanted.containers.length, allocations: wanted.allocations.length },
    workers: containers.map(({ condition }) => condition.type),
    allocations: allocations.map(({ order, phase }) => ({ functionName: order.function.name, phase })),
  };
}
