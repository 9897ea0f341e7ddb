import { readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { collectGarbage } from "../../../test/support/collect-garbage.ts";
import { poll } from "../../../test/support/poll.ts";
import { DEFAULTS, held, REGISTRATION, ScriptedDoor } from "../../../test/support/scripted-jobs.ts";
import type { Clock, FleetBoard } from "../../core/index.ts";
import { ExecutorError } from "../../core/index.ts";
import { orAbort, Scope, systemClock } from "../../std/index.ts";

describe("a kill at each step", () => {
  test.each(["download", "start"] as const)(
    "D7: during %s: the job never runs, and its room comes back",
    async (name) => {
      await using world = await ScriptedDoor.open();
      const gate = held();
      world.steps[name] = gate.step;
      const id = world.submit();
      await gate.reached;
      world.queue.send(id, "kill");
      expect(await world.event("TaskKilled")).toMatchObject({ json: { id, status: "killed" } });
      expect(world.jobs).toHaveLength(0);
      if (name === "download") expect(world.released).toBe(1);
      expect([...world.objects]).toEqual([`t/${id}/output.zip`]);
      world.steps[name] = () => Promise.resolve();
      const next = world.submit();
      (await world.started()).exit();
      expect(await world.event("TaskCompleted")).toMatchObject({ json: { id: next, status: "success" } });
    },
  );

  test("D7: nobody is told that a job has begun before it was looked whether it is killed already", async () => {
    await using world = await ScriptedDoor.open();
    let look: () => void = () => undefined;
    const looked = new Promise<void>((resolve) => {
      look = resolve;
    });
    await world.until("it is open", () => world.door.trouble === undefined);
    const source = world.door.source();
    const watch = source.watchCommands.bind(source);
    source.watchCommands = async (...args) => {
      await looked;
      await watch(...args);
    };
    const id = world.submit();
    await world.until("its files are there", () => world.door.view().jobs[0]?.step === "staging");
    // A job that does not wait here has long begun by then.
    for (let turn = 0; turn < 50; turn += 1) await new Promise(setImmediate);
    expect(world.types()).toEqual([]);
    expect(world.jobs).toHaveLength(0);
    world.queue.send(id, "kill");
    look();
    await world.event("TaskKilled");
    expect(world.types()).toEqual(["TaskKilled"]);
    expect(world.jobs).toHaveLength(0);
  });

  test("D6: while it is packed: it counts as killed, its results are published, and nothing is told of it later", async () => {
    await using world = await ScriptedDoor.open();
    const gate = held();
    world.steps.pack = gate.step;
    const id = world.submit();
    const job = await world.started();
    job.exit();
    await gate.reached;
    world.queue.send(id, "kill");
    await world.until("it was heard", () => world.door.view().jobs[0]?.step === "packing");
    await new Promise((resolve) => setImmediate(resolve));
    gate.goOn();
    expect(await world.event("TaskKilled")).toMatchObject({ json: { id } });
    expect([...world.objects]).toEqual([`t/${id}/output.zip`]);
    await world.until("it is over", () => world.door.view().jobs.length === 0);
    await world.door.drain();
    expect(world.types()).toEqual(["TaskStarted", "TaskKilled", "ExecuterTerminated"]);
    expect(world.queue.events.at(-1)).toMatchObject({ json: { stopped_tasks: [] } });
  });

  test("of one that filled its disk is told how it ended while its results are packed", async () => {
    await using world = await ScriptedDoor.open();
    const gate = held();
    world.steps.pack = gate.step;
    world.submit();
    const job = await world.started();
    expect(world.door.view().jobs[0]).not.toHaveProperty("end");
    job.stop("disk");
    await gate.reached;
    expect(world.door.view().jobs).toMatchObject([{ step: "packing", end: "disk" }]);
    gate.goOn();
    expect(await world.event("TaskCompleted")).toMatchObject({ json: { status: "failed" } });
  });

  test("D7: before it starts, with a store that hangs: it is killed all the same, without a result", async () => {
    await using world = await ScriptedDoor.open();
    const [start, upload] = [held(), held()];
    world.steps.start = start.step;
    world.steps.upload = upload.step;
    const id = world.submit();
    await start.reached;
    world.queue.send(id, "kill");
    await upload.reached;
    // A time limit that nobody holds would go with it.
    collectGarbage();
    expect(await world.event("TaskKilled")).toMatchObject({ json: { id, status: "killed" } });
    expect(world.objects.size).toBe(0);
    await world.until("it is over", () => world.door.view().jobs.length === 0);
  });

  test("a message that nobody knows is passed over", async () => {
    await using world = await ScriptedDoor.open();
    const id = world.submit();
    const job = await world.started();
    world.queue.send(id, "dance");
    await world.until("it was heard", () => world.log.includes("claim.ignored"));
    job.exit();
    expect(await world.event("TaskCompleted")).toMatchObject({ json: { status: "success" } });
  });
});

describe("a lease that is lost", () => {
  test("while the job runs: it is ended, nothing is told or published, and the folder goes", async () => {
    await using world = await ScriptedDoor.open({ leaseMs: 90 });
    const id = world.submit();
    const job = await world.started();
    world.queue.delete("shell_requests", world.door.view().jobs[0]!.entryId);
    world.door.source().renew = (claims) => Promise.resolve(claims);
    await world.until("it is stopped", () => job.stops.includes("lease"));
    await world.until("it is over", () => world.door.view().jobs.length === 0);
    expect(world.types()).toEqual(["TaskStarted"]);
    expect(world.log.filter((event) => event === "claim.lost")).toHaveLength(1);
    expect(world.objects.size).toBe(0);
    expect(job.settled).toBe(1);
    expect(await readdir(world.folder)).not.toContain(id);
  });

  test("during the upload: the name that all attempts share is left alone", async () => {
    await using world = await ScriptedDoor.open();
    const gate = held();
    world.steps.upload = gate.step;
    world.submit();
    (await world.started()).exit();
    await gate.reached;
    world.door.source().renew = (claims) => Promise.resolve(claims);
    gate.goOn();
    await world.until("it is over", () => world.door.view().jobs.length === 0);
    expect(world.objects.size).toBe(0);
    expect(world.types()).toEqual(["TaskStarted"]);
    expect(world.log.filter((event) => event === "claim.lost")).toHaveLength(1);
  });
});

describe("trouble of the host", () => {
  test("D4: a start that fails for the job's own fault fails that job, and the next one runs", async () => {
    await using world = await ScriptedDoor.open();
    world.steps.start = () =>
      Promise.reject(new ExecutorError("IMAGE_UNUSABLE", { reason: "no python in it" }));
    const id = world.submit();
    expect(await world.event("TaskCompleted")).toMatchObject({
      json: { id, status: "failed", detail: expect.stringContaining("no python in it") },
    });
    expect([...world.objects]).toEqual([`t/${id}/output.zip`]);
    world.steps.start = () => Promise.resolve();
    world.submit();
    (await world.started()).exit();
    await world.until(
      "both are over",
      () => world.types().filter((type) => type === "TaskCompleted").length === 2,
    );
  });

  test("D4: a job that asks for what there is not ends with an empty result; one that is killed meanwhile is killed", async () => {
    await using world = await ScriptedDoor.open();
    const gate = held();
    world.steps.upload = gate.step;
    const id = world.submit({ method: "nobody knows it" });
    await gate.reached;
    world.queue.send(id, "kill");
    await new Promise((resolve) => setImmediate(resolve));
    gate.goOn();
    expect(await world.event("TaskKilled")).toMatchObject({ json: { id } });
    expect([...world.objects]).toEqual([`t/${id}/output.zip`]);
  });

  test.each([
    [{ time_to_live_seconds: "soon" }, true],
    [{ method: "" }, true],
    [{ task_dir: "../elsewhere" }, false],
  ])(
    "D4: an entry with %j ends with its reason, with an empty result where it may lie, and leaves nothing here",
    async (fields, isPlaced) => {
      await using world = await ScriptedDoor.open();
      const id = world.submit(fields);
      const [name = ""] = Object.keys(fields);
      expect(await world.event("TaskCompleted")).toMatchObject({
        json: { id, status: "failed", detail: expect.stringContaining(name) },
      });
      expect([...world.objects]).toEqual(isPlaced ? [`t/${id}/output.zip`] : []);
      await world.until("it is over", () => world.door.view().jobs.length === 0);
      const left = await readdir(world.folder, { recursive: true });
      expect(left.filter((path) => path.includes(id))).toEqual([]);
      expect(world.types()).toEqual(["TaskCompleted"]);
    },
  );

  test("an engine that is away for a moment costs a job nothing", async () => {
    await using world = await ScriptedDoor.open();
    let failures = 1;
    world.steps.start = () => {
      failures -= 1;
      return failures >= 0 ? Promise.reject(new ExecutorError("ENGINE_UNAVAILABLE")) : Promise.resolve();
    };
    world.submit();
    (await world.started()).exit();
    await world.event("TaskCompleted");
    expect(world.types()).toEqual(["TaskStarted", "TaskCompleted"]);
  });

  test("an engine that stays away fails no job before the attempts are used up: another host may start it", async () => {
    // The pauses between the tries take a hundredth.
    const clock: Clock = { ...systemClock, after: (ms, fire) => systemClock.after(ms / 100, fire) };
    await using world = await ScriptedDoor.open({ maxAttempts: 2, leaseMs: 3_600_000 }, { clock });
    world.steps.start = () => Promise.reject(new ExecutorError("ENGINE_UNAVAILABLE"));
    const id = world.submit();
    expect(await world.event("TaskCompleted")).toMatchObject({ json: { id, status: "failed", attempt: 2 } });
    expect(world.types()).toEqual(["TaskStarted", "TaskStarted", "TaskCompleted"]);
    expect(world.log.filter((event) => event === "claim.released")).toHaveLength(1);
  });

  test("D9: a sandbox that is lost is another attempt, until the attempts are used up", async () => {
    await using world = await ScriptedDoor.open({ maxAttempts: 2 });
    const id = world.submit();
    (await world.started(0)).lose();
    const second = await world.started(1);
    expect(second.mark).toEqual({ jobId: id, attempt: 2 });
    second.lose();
    expect(await world.event("TaskCompleted")).toMatchObject({
      json: { status: "failed", attempt: 2, detail: expect.stringContaining("somebody removed it") },
    });
  });

  test("D9: attempts that were handed back are no failures of the job", async () => {
    await using world = await ScriptedDoor.open({ maxAttempts: 2 });
    const id = world.submit();
    (await world.started(0)).stop("drain");
    for (let attempt = 2; attempt <= 3; attempt += 1) {
      const job = await world.started(attempt - 1);
      expect(job.mark).toEqual({ jobId: id, attempt });
      job.stop("drain");
    }
    (await world.started(3)).lose();
    const last = await world.started(4);
    expect(last.mark).toEqual({ jobId: id, attempt: 5 });
    last.lose();
    expect(await world.event("TaskCompleted")).toMatchObject({ json: { status: "failed", attempt: 5 } });
  });

  test("the fleet hears of a host as soon as it can be told, and not a whole beat later", async () => {
    let connect: () => void = () => undefined;
    const connected = new Promise<void>((resolve) => {
      connect = resolve;
    });
    const published: string[] = [];
    const board: FleetBoard = {
      ready: async (signal) => await orAbort(connected, signal),
      publish: ({ hostId }) => {
        published.push(hostId);
        return Promise.resolve();
      },
      hosts: () => Promise.resolve([]),
      withdraw: () => Promise.resolve(),
      [Symbol.asyncDispose]: () => Promise.resolve(),
    };
    // A beat is longer than any test: only the connection can be what it waits for.
    await using _world = await ScriptedDoor.open({ fleetMs: 3_600_000 }, { board });
    expect(published).toEqual([]);
    connect();
    await poll("it was told", () => published.length > 0 || "nothing");
    expect(published).toEqual(["owner"]);
  });

  test("the fleet hears at once that a host takes no more work, and that it takes it again", async () => {
    const published: string[] = [];
    const board: FleetBoard = {
      ready: () => Promise.resolve(),
      publish: ({ state }) => {
        published.push(state);
        return Promise.resolve();
      },
      hosts: () => Promise.resolve([]),
      withdraw: () => Promise.resolve(),
      [Symbol.asyncDispose]: () => Promise.resolve(),
    };
    // A beat is longer than any test.
    await using world = await ScriptedDoor.open({ fleetMs: 3_600_000 }, { board });
    await poll("it is there", () => published.join() === "running" || published.join());
    world.executor.state = "paused";
    await poll("it is paused", () => published.join() === "running,paused" || published.join());
    world.executor.state = "running";
    await poll("it is back", () => published.join() === "running,paused,running" || published.join());
  });

  test("D13: results that cannot be stored fail the job, with the reason", async () => {
    await using world = await ScriptedDoor.open();
    world.steps.upload = () => Promise.reject(new ExecutorError("ARTIFACT_STORE_DENIED"));
    world.submit();
    (await world.started()).exit();
    expect(await world.event("TaskCompleted")).toMatchObject({
      json: { status: "failed", detail: expect.stringContaining("could not be stored") },
    });
  });

  test("D19: the end says why, with exit code, memory, attempt and host", async () => {
    await using world = await ScriptedDoor.open();
    world.submit();
    (await world.started()).exit(3);
    expect(await world.event("TaskCompleted")).toMatchObject({
      json: {
        status: "failed",
        detail: expect.stringContaining("3"),
        exit_code: 3,
        oom: false,
        attempt: 1,
        host: "here",
      },
    });
  });
});

describe("how many at once", () => {
  test("I17: a second job waits for the first where one may run", async () => {
    await using world = await ScriptedDoor.open({ concurrency: 1 });
    const first = world.submit();
    world.submit();
    const job = await world.started();
    expect(world.door.view().jobs).toMatchObject([{ jobId: first }]);
    expect(world.jobs).toHaveLength(1);
    job.exit();
    await world.started(1);
    expect(world.types().slice(0, 3)).toEqual(["TaskStarted", "TaskCompleted", "TaskStarted"]);
  });

  test("I17, D15: as many as is set, and not one more", async () => {
    await using world = await ScriptedDoor.open({ concurrency: 2 });
    for (let index = 0; index < 3; index += 1) world.submit();
    await world.started(1);
    expect(world.door.view().jobs).toHaveLength(2);
    expect(world.jobs).toHaveLength(2);
    world.jobs[0]!.exit();
    await world.started(2);
  });

  test("I10: without room for any type nothing is claimed; with it, at once", async () => {
    await using world = await ScriptedDoor.open({}, {}, false);
    world.submit();
    await world.until("it is open", () => world.door.trouble === undefined);
    await new Promise((resolve) => setTimeout(resolve, 300));
    expect(world.door.view().figures.claimed).toBe(0);
    world.executor.jobs.hasRoom = true;
    (await world.started()).exit();
    await world.event("TaskCompleted");
  });

  test("while one waits for its room no other is claimed: whoever has room may have it", async () => {
    const disk = { reserveBytes: 1, jobBytes: undefined, parts: 4 };
    await using world = await ScriptedDoor.open({ concurrency: 4, disk });
    const { jobs } = world.executor;
    const give = jobs.reserving;
    let book: () => void = () => undefined;
    jobs.reserving = async (request, signal) => {
      await new Promise<void>((resolve) => {
        book = resolve;
      });
      return await give(request, signal);
    };
    const first = world.submit();
    await world.until("it waits", () => world.door.view().figures.claimed === 1);
    for (let index = 0; index < 3; index += 1) world.submit();
    await new Promise((resolve) => setTimeout(resolve, 600));
    expect(world.door.view().jobs.map(({ jobId }) => jobId)).toEqual([first]);
    jobs.reserving = give;
    book();
    await world.started(3);
  });

  test("D3, D28: every entry of one answer is handled", async () => {
    await using world = await ScriptedDoor.open({ concurrency: 4, claimAhead: 4 });
    for (let index = 0; index < 8; index += 1) world.submit();
    for (let index = 0; index < 8; index += 1) (await world.started(index)).exit();
    await world.until(
      "all are over",
      () => world.types().filter((type) => type === "TaskCompleted").length === 8,
    );
  });
});

describe("the end of the daemon", () => {
  test("D26: a cloud that does not answer is not waited for", async () => {
    await using world = await ScriptedDoor.open(
      {},
      {
        isPreempted: (signal) =>
          new Promise((_resolve, reject) => {
            signal.addEventListener("abort", () => reject(signal.reason), { once: true });
          }),
      },
    );
    await world.until("it is open", () => world.door.trouble === undefined);
    await world.door.drain();
    expect(world.types()).toEqual(["ExecuterTerminated"]);
  });

  test("a machine that is taken away says so", async () => {
    await using world = await ScriptedDoor.open(
      { onStop: "terminate" },
      { isPreempted: () => Promise.resolve(true) },
    );
    const id = world.submit();
    const job = await world.started();
    const drained = world.door.drain();
    await new Promise((resolve) => setImmediate(resolve));
    job.stop("drain");
    await drained;
    const { uuid } = REGISTRATION;
    expect(world.queue.events.at(-1)).toMatchObject({
      type: "ExecuterTerminated",
      json: { uuid, reason: "preempted", detail: null, stopped_tasks: [id] },
    });
    expect(world.types()).toEqual(["TaskStarted", "ExecuterTerminated"]);
    expect([...world.objects]).toEqual([`t/${id}/output.zip`]);
  });

  test("I9: a door that fails asks for the daemon's end: its job is handed back, and the reason told is `error`", async () => {
    let isBroken = false;
    const asked: string[] = [];
    await using scope = new Scope();
    const world = await ScriptedDoor.open(
      { concurrency: 2 },
      {
        isPreempted: () => Promise.resolve(true),
        onFailure: () => asked.push("the end"),
        // Asked before every claim, so that the part which claims fails while a job runs.
        defaults: () => {
          if (isBroken) throw new ExecutorError("INTERNAL");
          return DEFAULTS;
        },
      },
    );
    const id = world.submit();
    const job = await world.started();
    isBroken = true;
    await world.until("the door has failed", () => asked.length > 0);
    expect(world.types()).toEqual(["TaskStarted"]);
    const drained = world.door.drain();
    await new Promise((resolve) => setImmediate(resolve));
    job.stop("drain");
    await drained;
    expect(world.queue.events.at(-1)).toMatchObject({
      type: "ExecuterTerminated",
      json: {
        uuid: REGISTRATION.uuid,
        reason: "error",
        stopped_tasks: [],
        detail: expect.stringMatching(/./) as string,
      },
    });
    expect(world.types()).toEqual(["TaskStarted", "ExecuterTerminated"]);
    const other = scope.use(world.source("another"));
    expect(await other.claim(1, 1000, scope.signal)).toMatchObject([{ jobId: id }]);
    expect(asked).toHaveLength(1);
    await expect(world[Symbol.asyncDispose]()).rejects.toMatchObject({ code: "INTERNAL" });
    await rm(world.folder, { recursive: true, force: true });
  });

  test("I9: with on_stop: terminate a daemon that fails elsewhere says so of the jobs that it ends", async () => {
    await using world = await ScriptedDoor.open({ onStop: "terminate" });
    const id = world.submit();
    const job = await world.started();
    const drained = world.door.drain(new ExecutorError("DISK_FULL"));
    await new Promise((resolve) => setImmediate(resolve));
    job.stop("drain");
    await drained;
    expect(world.queue.events.at(-1)).toMatchObject({
      type: "ExecuterTerminated",
      json: { reason: "error", detail: new ExecutorError("DISK_FULL").message, stopped_tasks: [id] },
    });
    expect(world.log).not.toContain("executor.failed");
  });

  test("D27: it may come before the queue or the API has answered", async () => {
    await using world = await ScriptedDoor.open(
      {},
      {
        register: (signal) =>
          new Promise((_resolve, reject) => {
            signal.addEventListener("abort", () => reject(signal.reason), { once: true });
          }),
      },
    );
    await new Promise((resolve) => setImmediate(resolve));
    expect(world.door.trouble).toMatch(/not answered/);
    await world.door.drain();
    expect(world.types()).toEqual([]);
  });
});

test("D14: what an earlier life left in the shared folder is swept, and nothing else is touched", async () => {
  const { mkdir, mkdtemp } = await import("node:fs/promises");
  const { tmpdir } = await import("node:os");
  const folder = await mkdtemp(join(tmpdir(), "hearth-door-"));
  for (const path of ["old", ".hearth/owner/old", "foreign", "theirs", ".hearth/another/theirs"]) {
    await mkdir(join(folder, path), { recursive: true });
  }
  await using world = await ScriptedDoor.open({}, { sharedDir: { localPath: folder, hostPath: folder } });
  await world.until("it is open", () => world.door.trouble === undefined);
  expect((await readdir(folder)).sort()).toEqual([".hearth", "foreign", "theirs"]);
});
