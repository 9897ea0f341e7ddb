import type { TaskSpec } from "../../core/index.ts";
import type { JobDesk } from "./desk.ts";
import type { ExecuterType } from "./door-options.ts";
import { isUnfit } from "./leave-to-others.ts";
import { diskOf, taskOf } from "./plan-job.ts";

/** What is asked before a claim. */
interface Books {
  readonly options: Pick<JobDesk["options"], "types" | "executor" | "defaults">;
  readonly disk: Pick<JobDesk["disk"], "fits">;
}

/**
 * How many jobs, `most` at most, would get room at once whatever their types are: an entry's type is known only once it is claimed. One,
 * where jobs of some types would get room and of others not; none, where no job would. Types whose jobs never fit here do not count:
 * those are handed on at once.
 */
export function fittingJobs(desk: Books, most: number): number {
  const { types, executor, defaults } = desk.options;
  const standard = defaults();
  const counts: number[] = [];
  for (const type of types.values()) {
    const task = taskOf(type, standard);
    const count = countFitting(desk, type, task, most);
    if (count > 0 || mayEverFit(() => executor.jobs.check(task))) counts.push(count);
  }
  if (Math.max(0, ...counts) === 0) return 0;
  return Math.max(1, Math.min(...counts));
}

/** How many of one type. More of them never fit where fewer do not, so the range is halved. */
function countFitting({ options, disk }: Books, type: ExecuterType, task: TaskSpec, most: number): number {
  const diskBytes = diskOf(type);
  const fit = (count: number): boolean =>
    options.executor.jobs.hasRoomFor(times(task, count), "stream") &&
    disk.fits(diskBytes === undefined ? undefined : diskBytes * count);
  if (!fit(1)) return 0;
  let [enough, tooMany] = [1, most + 1];
  while (tooMany - enough > 1) {
    const middle = Math.floor((enough + tooMany) / 2);
    if (fit(middle)) enough = middle;
    else tooMany = middle;
  }
  return enough;
}

/** One task that takes as much as so many. */
function times(task: TaskSpec, count: number): TaskSpec {
  if (count === 1) return task;
  const { cpuMillis, memoryBytes, gpuCount, gpuMemoryBytes } = task.resources;
  const resources = {
    cpuMillis: cpuMillis * count,
    memoryBytes: memoryBytes * count,
    gpuCount: gpuCount * count,
    gpuMemoryBytes,
  };
  return { ...task, resources };
}

function mayEverFit(check: () => void): boolean {
  try {
    check();
    return true;
  } catch (error) {
    return !isUnfit(error);
  }
}
