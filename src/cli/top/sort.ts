import type { LiveSandbox } from "../../client/index.ts";

/** What the list of warm tasks can be ordered by. */
export const SORTS = ["calls", "slots", "cpu", "memory", "age", "task"] as const;
export type Sort = (typeof SORTS)[number];

const BY: Readonly<Record<Sort, (a: LiveSandbox, b: LiveSandbox) => number>> = {
  calls: (a, b) => b.calls - a.calls,
  slots: (a, b) => b.slotsUsed - a.slotsUsed,
  cpu: (a, b) => b.resources.cpuMillis - a.resources.cpuMillis,
  memory: (a, b) => b.resources.memoryBytes - a.resources.memoryBytes,
  age: (a, b) => a.createdAt.localeCompare(b.createdAt),
  task: (a, b) => a.image.localeCompare(b.image),
};

/** Those whose task, id or class holds the filter, in order; equals by their id, so that no row jumps. */
export function listed(
  sandboxes: Iterable<LiveSandbox>,
  { sort, filter }: { readonly sort: Sort; readonly filter: string },
): readonly LiveSandbox[] {
  const wanted = filter.toLowerCase();
  const holds = ({ image, id, isolation }: LiveSandbox): boolean =>
    `${image} ${id} ${isolation ?? ""}`.toLowerCase().includes(wanted);
  return [...sandboxes].filter(holds).sort((a, b) => BY[sort](a, b) || a.id.localeCompare(b.id));
}
