import { expect } from "vitest";
import type { JobState, JobStory, Observer, SandboxEnd } from "../../src/core/index.ts";
import { NO_OBSERVER } from "../../src/core/index.ts";
import type { FakeDriver } from "../../src/drivers/fake/fake-driver.ts";
import type { JobEnding, JobRoom, RunningJob } from "../../src/engine/jobs/jobs.ts";
import { jobRequest, ORDER } from "./job-order.ts";
import type { TestExecutor } from "./test-executor.ts";
import { testExecutor } from "./test-executor.ts";

export const CPU_MILLIS = 3_000;
export const MEMORY_MIB = 600;

/** A job whose command has started, as its door follows it. */
interface Started {
  readonly job: RunningJob;
  readonly endings: JobEnding[];
  isSettled: boolean;
}

/** Counts, per sandbox, how often the executor said that a job is over, and follows what it says of its states. */
export class JobStories {
  readonly overs = new Map<string, number>();
  readonly states = new Map<string, JobState>();
  readonly observer: Observer = {
    ...NO_OBSERVER,
    jobChanged: ({ sandboxId, state }, from) => {
      expect(this.states.get(sandboxId)).toBe(from);
      this.states.set(sandboxId, state);
    },
    jobEnded: ({ sandboxId, end }: JobStory) => {
      expect(end).toBeDefined();
      this.overs.set(sandboxId, (this.overs.get(sandboxId) ?? 0) + 1);
    },
  };
}

/** A door that does whatever a test's schedule says, with one executor after another. */
export class JobPlayer {
  readonly stories: JobStories;
  readonly parts: TestExecutor;
  readonly rooms: JobRoom[] = [];
  readonly started: Started[] = [];
  /** What may still be given up. */
  readonly #signals: AbortController[] = [];
  /** Which of them this is, from 1. */
  readonly #life: number;
  #made: number;
  /** Everything under way; none of it may be left hanging. */
  readonly #work = new Set<Promise<void>>();
  /** Why things were refused. */
  readonly refusals: unknown[] = [];

  private constructor(parts: TestExecutor, stories: JobStories, life: number, made: number) {
    this.#life = life;
    this.parts = parts;
    this.stories = stories;
    this.#made = made;
  }

  /** @param previous the life before, which ended without a word: what it had running is left to this one. */
  static async open(previous?: JobPlayer): Promise<JobPlayer> {
    const life = previous === undefined ? 1 : previous.#life + 1;
    const stories = new JobStories();
    const prepare = (driver: FakeDriver): void => previous?.parts.driver.leaveJobsTo(driver);
    const parts = await testExecutor(
      {
        cpuMillis: CPU_MILLIS,
        memoryBytes: MEMORY_MIB * 1_048_576,
        sandboxesPerTask: 2,
        slotsPerSandbox: 2,
        pullTimeoutMs: 5_000,
        startTimeoutMs: 5_000,
      },
      { startMs: 30, freezeMs: 8, stopMs: 20 },
      prepare,
      stories.observer,
      undefined,
      `life${life}-`,
    );
    return new JobPlayer(parts, stories, life, previous === undefined ? 0 : previous.#made);
  }

  get pending(): number {
    return this.#work.size;
  }

  reserve(cpu: number, memoryMib: number): void {
    const controller = this.#controller();
    const request = jobRequest(`j${++this.#made}`, cpu, memoryMib);
    this.#track(
      this.parts.executor.jobs.reserve(request, controller.signal).then((room) => void this.rooms.push(room)),
    );
  }

  start(which: number, deadlineMs: number | undefined): void {
    const room = this.#take(this.rooms, which);
    if (room === undefined) return;
    const { signal } = this.#controller();
    this.#track(room.start({ ...ORDER, deadlineMs }, signal).then((job) => this.#follow(job)));
  }

  release(which: number): void {
    this.#take(this.rooms, which)?.release();
  }

  /** Whoever waits or starts goes away. */
  abort(which: number): void {
    this.#take(this.#signals, which)?.abort(new Error("given up"));
  }

  adopt(which: number, deadlineMs: number | undefined): void {
    const all = this.parts.executor.jobs.leftovers();
    const leftover = all[which % Math.max(1, all.length)];
    if (leftover === undefined) return;
    const { signal } = this.#controller();
    this.#track(leftover.adopt("stream", { deadlineMs }, signal).then((job) => this.#follow(job)));
  }

  reap(which: number): void {
    const all = this.parts.executor.jobs.leftovers();
    const leftover = all[which % Math.max(1, all.length)];
    if (leftover !== undefined) this.#track(leftover.reap());
  }

  /** What a command, its kernel or a stranger does. */
  die(which: number, end: SandboxEnd): void {
    const live = [...this.parts.driver.liveJobs];
    live[which % Math.max(1, live.length)]?.die(end);
  }

  stop(which: number, by: "killed" | "lease" | "drain", graceMs: number): void {
    this.started[which % Math.max(1, this.started.length)]?.job.stop(by, graceMs);
  }

  /** A door settles each job once, when it has ended. */
  settle(): void {
    for (const one of this.started) {
      if (one.isSettled || one.endings.length === 0) continue;
      one.isSettled = true;
      this.#track(one.job.settle(0));
    }
  }

  /** Nobody gives anything up or takes anything on any more: everything comes to its end. */
  async finish(): Promise<void> {
    const { clock, executor } = this.parts;
    for (const room of this.rooms.splice(0)) room.release();
    for (const controller of this.#signals) controller.abort(new Error("the end"));
    for (let round = 0; round < 3; round += 1) {
      for (const { job } of this.started) job.stop("killed", 0);
      await clock.advance(20_000);
      for (const room of this.rooms.splice(0)) room.release();
      this.settle();
    }
    for (const leftover of executor.jobs.leftovers()) this.#track(leftover.reap());
    await clock.advance(60_000);
  }

  #follow(job: RunningJob): void {
    const one: Started = { job, endings: [], isSettled: false };
    this.started.push(one);
    this.#track(job.ending.then((ending) => void one.endings.push(ending)));
  }

  #track(work: Promise<void>): void {
    const settled: Promise<void> = work
      .catch((error: unknown) => void this.refusals.push(error))
      .finally(() => this.#work.delete(settled));
    this.#work.add(settled);
  }

  #controller(): AbortController {
    const controller = new AbortController();
    this.#signals.push(controller);
    return controller;
  }

  #take<T>(from: T[], which: number): T | undefined {
    return from.splice(which % Math.max(1, from.length), 1)[0];
  }
}
