import type { JobSandboxSpec, SandboxSpec, WorkerSpec } from "../../../core/index.ts";
import { MEBIBYTE } from "../../../core/index.ts";

const MAX_PART_LENGTH = 48;

/**
 * What a sandbox's container is called: `mecanywhere_`, the image's base name and tag and the resources, as the contract has
 * it (section 4), then the sandbox's whole id: no part of it alone is sure to differ between two that exist at once.
 */
export function containerName(spec: SandboxSpec): string {
  const { image, resources } = spec.task;
  const named = image.slice(image.lastIndexOf("/") + 1);
  const [base = "", tag = "latest"] = named.split(/[:@]/, 2);
  const size = `${resources.cpuMillis / 1000}_${Math.round(resources.memoryBytes / MEBIBYTE)}`;
  return ["mecanywhere", clean(base), clean(tag), size, clean(spec.sandboxId)].join("_");
}

/** What a job's container begins with; nothing else of ours does. */
export const JOB_NAME_PREFIX = "hearth_job_";

/** What a job's container is called: for people its job and try, and its sandbox's whole id. */
export function jobContainerName({ mark, sandboxId }: Pick<JobSandboxSpec, "mark" | "sandboxId">): string {
  return `${JOB_NAME_PREFIX}${clean(mark.jobId)}_${mark.attempt}_${clean(sandboxId)}`;
}

/** What every worker's container begins with; nothing else of ours does. */
export const WORKER_NAME_PREFIX = "indexify-";

/**
 * What a worker's container is called: what it is for (functions as `contracts/indexify.md` section 6.3 has it), what its door calls
 * it, and its sandbox's whole id, since the one may come again.
 */
export function workerContainerName({
  purpose,
  mark,
  sandboxId,
}: Pick<WorkerSpec, "purpose" | "mark" | "sandboxId">): string {
  return `${WORKER_NAME_PREFIX}${purpose}-${clean(mark.jobId)}_${clean(sandboxId)}`;
}

/** Engines take letters, digits, `_`, `.` and `-` in a name. */
function clean(part: string): string {
  return part.replace(/[^a-zA-Z0-9_.-]/g, "-").slice(0, MAX_PART_LENGTH);
}
