import type { JobSandboxSpec, WorkDir } from "../../../core/index.ts";
import { readUsage } from "../container/usage.ts";
import type { World } from "../world.ts";
import type { JobParts } from "./docker-job.ts";
import { UsageSamples } from "./usage-samples.ts";

/** What its start has found out or made. */
export type OwnParts = Pick<
  JobParts,
  "containerId" | "label" | "imageDigest" | "isolation" | "startedAtMs" | "watch" | "onRemoved"
>;

/** What every job of the driver is given to live with, also one that is taken over, and every worker, which has no work folder. */
export function jobParts(
  world: World,
  {
    sandboxId,
    mark,
    task,
    gpuIds,
    workDir,
  }: Pick<JobSandboxSpec, "sandboxId" | "mark" | "task" | "gpuIds"> & {
    readonly workDir: WorkDir | undefined;
  },
  own: OwnParts,
): JobParts {
  const samples = new UsageSamples(
    (signal) => readUsage(world.engine, own.containerId, signal),
    world.closing,
  );
  samples.start();
  return {
    ...own,
    id: sandboxId,
    mark,
    task,
    gpuIds,
    samples,
    takeFiles: async () => {
      if (workDir !== undefined) await world.files.take(workDir);
    },
  };
}
