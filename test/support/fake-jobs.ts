import type { TaskSpec } from "../../src/core/index.ts";
import { asId, DEFAULT_RESOURCES, ExecutorError } from "../../src/core/index.ts";
import type { JobRequest, JobRoom, Jobs, JobView, LeftoverJob } from "../../src/engine/jobs/jobs.ts";
import { FakeWorkers } from "./fake-workers.ts";

/** Jobs whose every answer a test may script. By themselves there are none, and there is room for none. */
export class FakeJobs implements Jobs {
  readonly workers = new FakeWorkers();
  views: JobView[] = [];
  left: LeftoverJob[] = [];
  refusal: ExecutorError | undefined;
  hasRoom = false;
  readonly checked: TaskSpec[] = [];
  reserving: (request: JobRequest, signal: AbortSignal) => Promise<JobRoom> = () =>
    Promise.reject(new ExecutorError("PAUSED"));

  check(task: TaskSpec): void {
    this.checked.push(task);
    if (this.refusal !== undefined) throw this.refusal;
  }

  hasRoomFor(): boolean {
    return this.hasRoom;
  }

  reserve(request: JobRequest, signal: AbortSignal): Promise<JobRoom> {
    return this.reserving(request, signal);
  }

  leftovers(): readonly LeftoverJob[] {
    return this.left;
  }

  list(): readonly JobView[] {
    return this.views;
  }
}

/** A job that runs, as lists show it. */
export function fakeJob(jobId: string, more: Partial<JobView> = {}): JobView {
  return {
    mark: { jobId, attempt: 1 },
    door: "stream",
    sandboxId: asId<"sandbox">(`sandbox-of-${jobId}`),
    label: `job_${jobId}`,
    task: {
      image: "sim:1",
      isolation: "default",
      resources: DEFAULT_RESOURCES,
      sgx: false,
      network: "internal",
    },
    serves: undefined,
    state: "running",
    isolation: "container",
    imageDigest: "sha256:00",
    gpuIds: [],
    reserved: DEFAULT_RESOURCES,
    ageMs: 2000,
    ranMs: 1000,
    ...more,
  };
}
