import type { SandboxView, WaitingView } from "../../engine/executor.ts";
import type { ServerWish } from "./door-options.ts";
import { factsLine, workLines } from "./server-work.ts";

/** Nobody has asked for anything (`contracts/indexify.md` section 9.1). */
export const NOTHING_DESIRED = "No desired state received from Server yet";

/** A task that this host is to have warm. */
export interface DesiredTask {
  readonly image: string;
  readonly isolation: string;
  readonly cpuMillis: number;
  readonly memoryBytes: number;
  readonly gpuCount: number;
  /** Sandboxes it has, or that are on their way. */
  readonly sandboxes: number;
  /** Callers that wait for one. */
  readonly waiting: number;
}

/**
 * What callers want of this host. Nobody tells us, so it is what they ask for: each task with warm sandboxes or waiting
 * callers, in the order of their keys.
 */
export function desiredTasks(
  sandboxes: readonly SandboxView[],
  waiting: readonly WaitingView[],
): readonly DesiredTask[] {
  const byKey = new Map<string, { -readonly [K in keyof DesiredTask]: DesiredTask[K] }>();
  const entry = ({ taskKey, task }: Pick<SandboxView, "taskKey" | "task">) => {
    const known = byKey.get(taskKey);
    if (known !== undefined) return known;
    const { cpuMillis, memoryBytes, gpuCount } = task.resources;
    const fresh = { image: task.image, isolation: task.isolation, cpuMillis, memoryBytes, gpuCount };
    const made = { ...fresh, sandboxes: 0, waiting: 0 };
    byKey.set(taskKey, made);
    return made;
  };
  for (const sandbox of sandboxes) if (sandbox.tier !== "stopping") entry(sandbox).sandboxes += 1;
  for (const line of waiting) entry(line).waiting += line.callers;
  return [...byKey].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, task]) => task);
}

/** One task, container or allocation per line. */
export function desiredText(tasks: readonly DesiredTask[], wish?: ServerWish): string {
  const lines = [...tasks.map((task) => factsLine(task)), ...(wish === undefined ? [] : workLines(wish))];
  if (lines.length === 0) return NOTHING_DESIRED;
  return `${lines.join("\n")}\n`;
}
