import * as fc from "fast-check";
import { expect, test } from "vitest";
import { CPU_MILLIS, JobPlayer, MEMORY_MIB } from "../../../test/support/job-player.ts";
import type { Recorded } from "../../../test/support/test-executor.ts";
import { record, task } from "../../../test/support/test-executor.ts";
import type { SandboxEnd } from "../../core/index.ts";
import { NO_RESOURCES } from "../../core/index.ts";

const ENDS: readonly SandboxEnd[] = [
  { type: "exited", exitCode: 0 },
  { type: "exited", exitCode: 3 },
  { type: "signalled", signal: "SIGSEGV" },
  { type: "memory", limitBytes: 1 },
  { type: "lost" },
];

const which = fc.nat(7);
const step = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({
      type: fc.constant("reserve" as const),
      cpu: fc.constantFrom(0.1, 0.5, 1, 2, 3, 3.1),
      memory: fc.constantFrom(50, 100, 300, 600),
    }),
  },
  {
    weight: 6,
    arbitrary: fc.record({
      type: fc.constant("start" as const),
      which,
      deadlineMs: fc.constantFrom(undefined, undefined, 10, 1_000),
    }),
  },
  { weight: 1, arbitrary: fc.record({ type: fc.constant("release" as const), which }) },
  { weight: 2, arbitrary: fc.record({ type: fc.constant("abort" as const), which }) },
  {
    weight: 4,
    arbitrary: fc.record({ type: fc.constant("die" as const), which, end: fc.constantFrom(...ENDS) }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      type: fc.constant("stop" as const),
      which,
      by: fc.constantFrom<"killed" | "lease" | "drain">("killed", "lease", "drain"),
    }),
  },
  { weight: 5, arbitrary: fc.record({ type: fc.constant("settle" as const) }) },
  { weight: 1, arbitrary: fc.record({ type: fc.constant("evict" as const), which }) },
  {
    weight: 4,
    arbitrary: fc.record({
      type: fc.constant("call" as const),
      image: fc.constantFrom("a", "b", "c"),
      cpu: fc.constantFrom(0.5, 1, 3),
    }),
  },
  { weight: 3, arbitrary: fc.record({ type: fc.constant("answer" as const) }) },
  {
    weight: 3,
    arbitrary: fc.record({
      type: fc.constant("fault" as const),
      kind: fc.constantFrom(
        ...(["resolve", "startJob", "end", "removeJob", "start", "stop", "freeze"] as const),
      ),
      fault: fc.constantFrom<"reject" | "hang">("reject", "hang"),
      times: fc.constantFrom(1, 1, 4),
    }),
  },
  {
    weight: 6,
    arbitrary: fc.record({ type: fc.constant("wait" as const), ms: fc.constantFrom(1, 25, 100, 3_000) }),
  },
  { weight: 1, arbitrary: fc.record({ type: fc.constant("pause" as const) }) },
  { weight: 1, arbitrary: fc.record({ type: fc.constant("unpause" as const) }) },
  {
    weight: 1,
    arbitrary: fc.record({ type: fc.constant("limits" as const), cpu: fc.constantFrom(500, CPU_MILLIS) }),
  },
  { weight: 1, arbitrary: fc.record({ type: fc.constant("crash" as const) }) },
  { weight: 2, arbitrary: fc.record({ type: fc.constant("adopt" as const), which }) },
  { weight: 1, arbitrary: fc.record({ type: fc.constant("reap" as const), which }) },
);
type Step = typeof step extends fc.Arbitrary<infer S> ? S : never;

/** One schedule: a door, its executor, and the calls beside it. */
class Run {
  player: JobPlayer;
  readonly pauses: Promise<unknown>[] = [];
  calls: (Recorded & { readonly life: JobPlayer })[] = [];
  /** The limits were lowered, or what an earlier life left did not fit. */
  isOver = false;

  constructor(player: JobPlayer) {
    this.player = player;
  }

  async play(one: Step): Promise<void> {
    const { player } = this;
    const { executor, driver, clock, channels } = player.parts;
    if (one.type === "reserve") player.reserve(one.cpu, one.memory);
    else if (one.type === "start") player.start(one.which, one.deadlineMs);
    else if (one.type === "release") player.release(one.which);
    else if (one.type === "abort") player.abort(one.which);
    else if (one.type === "die") player.die(one.which, one.end);
    else if (one.type === "stop") player.stop(one.which, one.by, 0);
    else if (one.type === "settle") player.settle();
    else if (one.type === "evict") {
      const job = executor.jobs.list()[one.which];
      if (job !== undefined && job.state !== "leftover") {
        void executor.evict(job.sandboxId, { isForced: true }).catch(() => undefined);
      }
    } else if (one.type === "call") {
      this.calls.push(Object.assign(record(executor, task(one.image, one.cpu, 50)), { life: player }));
    } else if (one.type === "answer") channels.calls[0]?.answer();
    else if (one.type === "fault") {
      const canHang = one.kind !== "end" && one.kind !== "removeJob" && one.kind !== "stop";
      for (let n = 0; n < one.times; n += 1) driver.script(one.kind, canHang ? one.fault : "reject");
    } else if (one.type === "pause") this.pauses.push(executor.pause());
    else if (one.type === "unpause") executor.unpause();
    else if (one.type === "limits") {
      this.isOver ||= one.cpu < CPU_MILLIS;
      executor.configure({ ...executor.settings(), cpuMillis: one.cpu });
    } else if (one.type === "crash") this.player = await JobPlayer.open(player);
    else if (one.type === "adopt") player.adopt(one.which, one.which % 2 === 0 ? undefined : 500);
    else if (one.type === "reap") player.reap(one.which);
    else await clock.advance(one.ms);
    await this.player.parts.clock.advance(1);
    this.judge();
  }

  /** What really exists is booked, and what is booked fits. */
  judge(): void {
    const { driver, executor } = this.player.parts;
    let cpuMillis = 0;
    let memoryBytes = 0;
    for (const { task: spec } of driver.liveJobs) {
      cpuMillis += spec.resources.cpuMillis;
      memoryBytes += spec.resources.memoryBytes;
    }
    const jobs = executor.view().reservedByDoor.stream;
    expect(cpuMillis).toBeLessThanOrEqual(jobs.cpuMillis);
    expect(memoryBytes).toBeLessThanOrEqual(jobs.memoryBytes);
    for (const { isFrozen, task: spec } of driver.live) {
      if (!isFrozen) cpuMillis += spec.resources.cpuMillis;
      memoryBytes += spec.resources.memoryBytes;
    }
    const { reserved } = executor.view();
    expect(memoryBytes).toBeLessThanOrEqual(reserved.memoryBytes);
    expect(reserved.memoryBytes).toBeLessThanOrEqual(MEMORY_MIB * 1_048_576);
    if (!this.isOver) expect(reserved.cpuMillis).toBeLessThanOrEqual(CPU_MILLIS);
    const booked = executor.jobs.list().reduce((sum, job) => sum + job.reserved.cpuMillis, 0);
    expect(booked).toBe(jobs.cpuMillis);
  }

  /** Heal, drain, then judge. */
  async end(): Promise<void> {
    const { player } = this;
    const { executor, driver, clock, channels } = player.parts;
    driver.heal();
    executor.unpause();
    executor.configure({ ...executor.settings(), cpuMillis: CPU_MILLIS });
    channels.runMs = 10;
    for (const call of [...channels.calls]) call.answer();
    await player.finish();
    const drained = executor.drain({ deadlineMs: 1_000, keepWarm: false });
    await clock.advance(60_000);
    await drained;
    expect(player.pending).toBe(0);
    for (const { endings, isSettled } of player.started) {
      expect(endings).toHaveLength(1);
      expect(isSettled).toBe(true);
    }
    // Whoever had room is over exactly once, and gone.
    const { overs, states } = player.stories;
    for (const [sandboxId, state] of states) {
      expect(state).toBe("gone");
      expect(overs.get(sandboxId)).toBe(1);
    }
    expect(overs.size).toBe(states.size);
    for (const call of this.calls) if (call.life === player) expect(call.ends).toBe(1);
    expect(driver.liveJobs.size).toBe(0);
    expect(driver.live.size).toBe(0);
    expect(executor.view()).toMatchObject({
      ...{ running: 0, waiting: 0, sandboxes: 0, reserved: NO_RESOURCES },
      jobs: { byState: {}, running: 0, waiting: 0 },
    });
    await executor[Symbol.asyncDispose]();
    expect(clock.pendingTimers).toBe(0);
  }
}

test("over 10 000 random schedules of jobs and calls on one host: the books hold, each job ends once, nothing is left", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 8, maxLength: 30 }), async (steps) => {
      const run = new Run(await JobPlayer.open());
      for (const one of steps) await run.play(one);
      await run.end();
    }),
    { numRuns: Number(process.env["JOB_RUNS"] ?? 4_000) },
  );
}, 600_000);
