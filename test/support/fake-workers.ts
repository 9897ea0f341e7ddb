import { ExecutorError } from "../../src/core/index.ts";
import type { RunningWorker, WorkerRequest, Workers } from "../../src/engine/workers/workers.ts";

/** Workers whose every answer a test may script. By themselves there is room for none. */
export class FakeWorkers implements Workers {
  needImage = false;
  refusal: ExecutorError | undefined;
  readonly asked: WorkerRequest[] = [];
  starting: (request: WorkerRequest, signal: AbortSignal) => Promise<RunningWorker> = () =>
    Promise.reject(new ExecutorError("PAUSED"));

  check(): void {
    if (this.refusal !== undefined) throw this.refusal;
  }

  start(request: WorkerRequest, signal: AbortSignal): Promise<RunningWorker> {
    this.asked.push(request);
    return this.starting(request, signal);
  }
}
