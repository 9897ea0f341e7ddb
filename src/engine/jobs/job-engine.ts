import type { DoorName, ExecutorError, SandboxId, TaskSpec } from "../../core/index.ts";
import { asId } from "../../core/index.ts";
import { hostHasMemory } from "../start-sandbox.ts";
import { HeldJob } from "./held-job.ts";
import type { JobHost } from "./job-host.ts";
import { leftoverOf } from "./job-leftover.ts";
import { roomFor } from "./job-start.ts";
import type { JobRequest, JobRoom, Jobs, JobView, LeftoverJob } from "./jobs.ts";
import { WaitingJob } from "./waiting-job.ts";

/** Every job of one executor: those that wait, those that hold room, and those that earlier lives left. */
export class JobEngine implements Jobs {
  readonly #host: JobHost;
  readonly #waiting = new Set<WaitingJob>();
  readonly #held = new Map<SandboxId, HeldJob>();
  readonly #leftovers = new Map<SandboxId, LeftoverJob>();

  /** @param host whose `changed` is told after the job is on the list here, or off it. */
  constructor(host: JobHost) {
    this.#host = {
      ...host,
      changed: (job) => {
        if (job.state !== "leftover") this.#leftovers.delete(job.sandboxId);
        if (job.state === "gone") this.#held.delete(job.sandboxId);
        host.changed(job);
      },
    };
  }

  /** Those that wait for room. */
  get waiting(): ReadonlySet<WaitingJob> {
    return this.#waiting;
  }

  /** Those that hold room, the oldest first. */
  held(): readonly HeldJob[] {
    return [...this.#held.values()];
  }

  check(task: TaskSpec): void {
    const refusal = this.#host.check(task);
    if (refusal !== undefined) throw refusal;
  }

  hasRoomFor(task: TaskSpec, door: DoorName): boolean {
    const { desk, clock, host } = this.#host.engine;
    if (this.#host.refusal() !== undefined || this.#host.check(task) !== undefined) return false;
    if (!hostHasMemory(host, task.resources)) return false;
    const id = asId<"demand">("foreseen");
    const demand = { id, door, need: task.resources, keep: undefined, enqueuedAtMs: clock.nowMs() };
    return desk.foresee(demand).type === "grant";
  }

  async reserve(request: JobRequest, signal: AbortSignal): Promise<JobRoom> {
    const refusal = this.#host.refusal() ?? this.#host.check(request.task);
    if (refusal !== undefined) throw refusal;
    const waiting = new WaitingJob(this.#host, request);
    this.#waiting.add(waiting);
    this.#host.engine.armTick();
    try {
      await waiting.booked(signal);
    } finally {
      this.#waiting.delete(waiting);
    }
    const { sandboxId, sinceMs } = waiting;
    const job = new HeldJob(this.#host, { ...request, sandboxId, acceptedAtMs: sinceMs }, "reserved");
    this.#held.set(sandboxId, job);
    this.#host.changed(job);
    // Between its booking and now somebody may have given it up.
    if (signal.aborted || this.#host.refusal() !== undefined) {
      job.release();
      throw this.#host.refusal() ?? signal.reason;
    }
    return roomFor(this.#host, job);
  }

  leftovers(): readonly LeftoverJob[] {
    return [...this.#leftovers.values()];
  }

  list(): readonly JobView[] {
    return this.held().map((job) => this.#viewOf(job));
  }

  #viewOf(job: HeldJob): JobView {
    const { state } = job;
    return {
      mark: job.mark,
      door: job.door,
      sandboxId: job.sandboxId,
      label: job.sandbox?.label,
      task: job.task,
      // One that is gone is on no list.
      state: state === "gone" ? "removing" : state,
      isolation: job.sandbox?.isolation,
      gpuIds: job.gpuIds,
      ageMs: this.#host.engine.clock.nowMs() - job.heldSinceMs,
    };
  }
}
