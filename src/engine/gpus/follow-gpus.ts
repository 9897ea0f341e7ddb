import type { ExecutorError, Rack, TaskSpec } from "../../core/index.ts";
import { EMPTY_RACK } from "../../core/index.ts";
import type { TaskLines } from "../calls/task-lines.ts";
import type { JobEngine } from "../jobs/job-engine.ts";
import { checkGpus } from "./check-gpus.ts";
import type { GpuOffer } from "./gpu-cards.ts";

/** The cards are others than before: refuses callers who wait for what is no longer there. */
export function refuseInVain(
  lines: TaskLines,
  jobs: JobEngine,
  offer: GpuOffer,
  check: (task: TaskSpec) => ExecutorError | undefined,
): void {
  // A driver that only coughed may be back before their time is over.
  if (offer.trouble !== undefined) return;
  for (const line of lines.all()) {
    if (line.task.resources.gpuCount === 0 || line.waiting.length === 0) continue;
    const refusal = check(line.task);
    if (refusal !== undefined) line.refuse(() => refusal);
  }
  jobs.refuse((task) => (task.resources.gpuCount === 0 ? undefined : check(task)));
}

/**
 * A sandbox whose card is gone or broken takes no more calls: the next one would only find that out. While it is the driver that
 * is in trouble nobody can tell, and all of them are kept.
 */
export function retireUnfit(lines: TaskLines, rack: Rack, offer: GpuOffer): void {
  if (offer.trouble !== undefined || !offer.isKnown) return;
  const fit = new Set(rack.cards.filter((card) => card.isHealthy).map((card) => card.id));
  for (const owner of lines.owners()) {
    if (owner.isServing && owner.gpuIds.some((id) => !fit.has(id))) owner.retire("unfit");
  }
}

/** Where GPUs are switched off, whatever holds some goes: at once if it is idle, else after its calls. */
export function withdrawGpus(lines: TaskLines, offer: GpuOffer): void {
  if (offer.isEnabled) return;
  for (const line of lines.all()) {
    const refusal = checkGpus(line.task, EMPTY_RACK, offer);
    if (refusal === undefined) continue;
    for (const start of [...line.starts]) start.abort(refusal);
    for (const owner of [...line.owners]) owner.retire("asked");
  }
}
