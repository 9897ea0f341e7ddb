import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { poll } from "../../../test/support/poll.ts";
import { held, REGISTRATION, ScriptedDoor } from "../../../test/support/scripted-jobs.ts";
import type { FleetBoard } from "../../core/index.ts";
import { ExecutorError } from "../../core/index.ts";
import { orAbort } from "../../std/index.ts";

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

  test("D7: before it starts, with a store that hangs: it is killed all the same, without a result", async () => {
    await using world = await ScriptedDoor.open();
    const [start, upload] = [held(), held()];
    world.steps.start = start.step;
    world.steps.upload = upload.step;
    const id = world.submit();
    await start.reached;
    world.queue.send(id, "kill");
    await upload.reached;
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
  test("D15: as many as is set, and not one more", async () => {
    await using world = await ScriptedDoor.open({ concurrency: 2 });
    for (let index = 0; index < 3; index += 1) world.submit();
    await world.started(1);
    expect(world.door.view().jobs).toHaveLength(2);
    expect(world.jobs).toHaveLength(2);
    world.jobs[0]!.exit();
    await world.started(2);
  });

  test("without room for any type nothing is claimed; with it, at once", async () => {
    await using world = await ScriptedDoor.open({}, {}, false);
    world.submit();
    await world.until("it is open", () => world.door.trouble === undefined);
    await new Promise((resolve) => setTimeout(resolve, 300));
    expect(world.door.view().figures.claimed).toBe(0);
    world.executor.jobs.hasRoom = true;
    (await world.started()).exit();
    await world.event("TaskCompleted");
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
