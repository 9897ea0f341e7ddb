import type { Job } from "../../../contract/v1/jobs.ts";
import type { JobView } from "../../../engine/jobs/jobs.ts";

/** A job as the API shows it. */
export function showJob(view: JobView): Job {
  return {
    jobId: view.mark.jobId,
    attempt: view.mark.attempt,
    door: view.door,
    state: view.state,
    sandboxId: view.sandboxId,
    ...(view.label === undefined ? {} : { label: view.label }),
    image: view.task.image,
    ...(view.serves === undefined ? {} : { serves: view.serves }),
    ...(view.imageDigest === undefined ? {} : { imageDigest: view.imageDigest }),
    ...(view.isolation === undefined ? {} : { isolation: view.isolation }),
    isolationWish: view.task.isolation,
    network: view.task.network,
    resources: view.task.resources,
    reserved: view.reserved,
    gpuIds: [...view.gpuIds],
    ageMs: view.ageMs,
    ...(view.ranMs === undefined ? {} : { ranMs: view.ranMs }),
  };
}
