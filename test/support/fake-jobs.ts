import type { TaskSpec } from "../../src/core/index.ts";
import { ExecutorError } from "../../src/core/index.ts";
import type { JobRequest, JobRoom, Jobs, JobView, LeftoverJob } from "../../src/engine/jobs/jobs.ts";

/** Jobs whose every answer a test may script. By themselves there are none, and there is room for none. */
export class FakeJobs implements Jobs {
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
