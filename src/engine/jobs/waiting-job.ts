import type { Demand, ExecutorError, SandboxId } from "../../core/index.ts";
import { asId } from "../../core/index.ts";
import { hostHasMemory } from "../sandboxes/start-sandbox.ts";
import type { JobHost } from "./job-host.ts";
import type { JobRequest } from "./jobs.ts";

/** A worker that the executor's pause keeps from asking for room; it has no sandbox yet. */
export interface HeldBack {
  readonly request: JobRequest;
  readonly sinceMs: number;
}

/** A job that waits for its room in the queue of all doors. */
export class WaitingJob {
  readonly request: JobRequest;
  readonly sandboxId: SandboxId;
  readonly sinceMs: number;
  readonly #host: JobHost;
  readonly #refused = new AbortController();

  constructor(host: JobHost, request: JobRequest) {
    this.#host = host;
    this.request = request;
    this.sandboxId = host.engine.newSandboxId();
    this.sinceMs = host.engine.clock.nowMs();
  }

  /** Resolves once its room is booked; rejects with the signal's reason, or why it was refused, and then it never will be. */
  async booked(signal: AbortSignal): Promise<void> {
    const { desk, books, host } = this.#host.engine;
    const { task, door } = this.request;
    const onAbort = (): void => this.#refused.abort(signal.reason);
    signal.addEventListener("abort", onAbort, { once: true });
    if (signal.aborted) onAbort();
    const book = (gpuIds: readonly string[]): boolean =>
      hostHasMemory(host, task.resources) &&
      books.reserve(this.sandboxId, door, task.resources, gpuIds) !== undefined;
    try {
      await desk.apply({ demand: this.#demand(), book }, this.#refused.signal);
    } finally {
      signal.removeEventListener("abort", onAbort);
    }
  }

  refuse(error: ExecutorError): void {
    this.#refused.abort(error);
  }

  #demand(): Demand {
    return {
      id: asId<"demand">(this.sandboxId),
      door: this.request.door,
      need: this.request.task.resources,
      keep: undefined,
      enqueuedAtMs: this.sinceMs,
      isJob: true,
    };
  }
}
