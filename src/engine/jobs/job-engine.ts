import type { DoorName, ExecutorError, JobState, SandboxId, TaskSpec } from "../../core/index.ts";
import { asId } from "../../core/index.ts";
import { withDeadline } from "../../std/index.ts";
import type { JobCounts } from "../executor.ts";
import { hostHasMemory } from "../sandboxes/start-sandbox.ts";
import { workersOf } from "../workers/start-worker.ts";
import type { Workers } from "../workers/workers.ts";
import { HeldJob } from "./held-job.ts";
import type { JobHost } from "./job-host.ts";
import { leftoverOf, reapLeftover } from "./job-leftover.ts";
import type { BookedRoom } from "./job-start.ts";
import { giveBack, jobRoom, roomFor } from "./job-start.ts";
import { viewOfJob } from "./job-views.ts";
import type { JobRequest, JobRoom, JobStop, Jobs, JobView, LeftoverJob } from "./jobs.ts";
import type { HeldBack } from "./waiting-job.ts";
import { WaitingJob } from "./waiting-job.ts";

const LIST_DEADLINE_MS = 10_000;
/** The door that jobs come through: of those of an earlier life nothing else is known. */
const DOOR: DoorName = "stream";
const NOT_STARTED: ReadonlySet<JobState> = new Set<JobState>(["reserved", "starting"]);
const AT_WORK: ReadonlySet<JobState> = new Set<JobState>(["running", "stopping", "settling"]);

/** Every job of one executor: those that wait, those that hold room, and those that earlier lives left. */
export class JobEngine implements Jobs {
  readonly host: JobHost;
  readonly workers: Workers = workersOf(this);
  readonly #waiting = new Set<WaitingJob>();
  readonly #heldBack = new Set<HeldBack>();
  readonly #held = new Map<SandboxId, HeldJob>();
  readonly #leftovers = new Map<SandboxId, LeftoverJob>();

  /** @param host whose `changed` is told after the job is on the list here, or off it. */
  constructor(host: Omit<JobHost, "over">) {
    this.host = {
      ...host,
      changed: (job, from) => {
        if (job.state !== "leftover") this.#leftovers.delete(job.sandboxId);
        if (job.state === "gone") this.#held.delete(job.sandboxId);
        host.engine.observer.jobChanged(job, from);
        host.changed(job, from);
      },
      over: (job) => host.engine.observer.jobEnded(job),
    };
  }

  /** Those that wait for room. */
  get waiting(): ReadonlySet<WaitingJob> {
    return this.#waiting;
  }

  /** Those that wait for room, and those that a pause keeps from asking for it. */
  get withoutRoom(): readonly (WaitingJob | HeldBack)[] {
    return [...this.#waiting, ...this.#heldBack];
  }

  async heldBack(job: HeldBack, work: Promise<void>): Promise<void> {
    this.#heldBack.add(job);
    try {
      await work;
    } finally {
      this.#heldBack.delete(job);
    }
  }

  /** By its sandbox's id, or by its own: then the newest attempt. */
  find(id: string): HeldJob | undefined {
    return this.#held.get(asId<"sandbox">(id)) ?? this.held().findLast(({ mark }) => mark.jobId === id);
  }

  /** Those that hold room, the oldest first. */
  held(): readonly HeldJob[] {
    return [...this.#held.values()];
  }

  /** Those that keep the executor from being quiet: at work here, or being removed. */
  get atWork(): number {
    return this.held().filter(({ state, isResting }) => state !== "leftover" && !isResting).length;
  }

  /** Of those that run, those that have something to do. */
  get busy(): number {
    return this.held().filter(({ state, isResting }) => AT_WORK.has(state) && !isResting).length;
  }

  /** Those whose command runs, or whose files are collected. */
  get running(): number {
    return this.held().filter(({ state }) => AT_WORK.has(state)).length;
  }

  /** Books what earlier lives left, for their doors to take over; what cannot be told for a job is ended. */
  async recover(signal: AbortSignal): Promise<void> {
    const { driver, clock, books, track } = this.host.engine;
    const found = await withDeadline(
      { ms: LIST_DEADLINE_MS, code: "ENGINE_UNAVAILABLE", parent: signal, clock },
      (bounded) => driver.jobLeftovers(bounded),
    );
    for (const leftover of found) {
      const { sandboxId, mark, task, gpuIds } = leftover;
      if (mark === undefined || task === undefined) {
        track(reapLeftover(this.host, leftover).then(() => undefined));
        continue;
      }
      books.assume(sandboxId, DOOR, task.resources, gpuIds);
      const { imageDigest } = leftover;
      const options = { sandboxId, mark, task, door: DOOR, imageDigest, acceptedAtMs: clock.nowMs() };
      const job = new HeldJob(this.host, options, "leftover");
      this.#held.set(sandboxId, job);
      this.#leftovers.set(sandboxId, leftoverOf(this.host, job, leftover));
      job.listed();
    }
  }

  /** Refuses who waits and who has not started yet: those whose refusal this says. */
  refuse(refusalOf: (task: TaskSpec, door: DoorName) => ExecutorError | undefined): void {
    for (const waiting of [...this.#waiting]) {
      const refusal = refusalOf(waiting.request.task, waiting.request.door);
      if (refusal !== undefined) waiting.refuse(refusal);
    }
    for (const job of this.held()) {
      const refusal = NOT_STARTED.has(job.state) ? refusalOf(job.task, job.door) : undefined;
      if (refusal !== undefined) job.giveUp(refusal);
    }
  }

  /** Ends those that run. @returns how many. */
  stopAll(by: JobStop, graceMs: number): number {
    const running = this.held().filter(({ state }) => state === "running" || state === "stopping");
    for (const job of running) job.stop(by, graceMs);
    return running.length;
  }

  /** Ends the workers that have nothing to do. */
  stopResting(by: JobStop, graceMs: number): void {
    for (const job of this.held()) if (job.isResting) job.stop(by, graceMs);
  }

  check(task: TaskSpec): void {
    const refusal = this.host.check(task, DOOR);
    if (refusal !== undefined) throw refusal;
  }

  hasRoomFor(task: TaskSpec, door: DoorName): boolean {
    const { desk, clock, host } = this.host.engine;
    if (this.host.refusal() !== undefined || this.host.check(task, door) !== undefined) return false;
    if (!hostHasMemory(host, task.resources)) return false;
    const id = asId<"demand">("foreseen");
    const wish = { need: task.resources, keep: undefined, isJob: true };
    return desk.foresee({ id, door, ...wish, enqueuedAtMs: clock.nowMs() }).type === "grant";
  }

  async reserve(request: JobRequest, signal: AbortSignal): Promise<JobRoom> {
    return await this.book(request, signal, (room) => jobRoom(this.host, room));
  }

  /** As `reserve`, for whatever is to run there. `use` is called in the step that books the room, so that none is lost between. */
  async book<T>(request: JobRequest, signal: AbortSignal, use: (room: BookedRoom) => T): Promise<T> {
    const refusal = this.host.refusal() ?? this.host.check(request.task, request.door);
    if (refusal !== undefined) throw refusal;
    const waiting = new WaitingJob(this.host, request);
    this.#waiting.add(waiting);
    this.host.engine.armTick();
    try {
      await waiting.booked(signal);
    } finally {
      this.#waiting.delete(waiting);
    }
    const { sandboxId, sinceMs } = waiting;
    const job = new HeldJob(this.host, { ...request, sandboxId, acceptedAtMs: sinceMs }, "reserved");
    this.#held.set(sandboxId, job);
    job.listed();
    // Between its booking and now somebody may have given it up.
    if (signal.aborted || this.host.refusal() !== undefined) {
      giveBack(job, "unused", undefined);
      throw this.host.refusal() ?? signal.reason;
    }
    return use(roomFor(this.host, job));
  }

  leftovers(): readonly LeftoverJob[] {
    return [...this.#leftovers.values()];
  }

  list(): readonly JobView[] {
    return this.held().map((job) => viewOfJob(this.host.engine, job));
  }

  counts(): JobCounts {
    const byState: Partial<Record<JobState, number>> = {};
    for (const { state } of this.#held.values()) byState[state] = (byState[state] ?? 0) + 1;
    return { byState, running: this.running, waiting: this.withoutRoom.length };
  }
}
