import { existsSync } from "node:fs";
import { readdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { poll } from "../support/poll.ts";
import { rowWithin } from "../support/slack.ts";
import { standStill } from "../support/stand-still.ts";
import type { Daemon } from "../support/start-daemon.ts";
import { StreamWorld } from "../support/stream-world.ts";

interface QueueView {
  readonly jobs: readonly { readonly jobId: string; readonly step: string; readonly attempt: number }[];
}

let world: StreamWorld;
beforeEach(async () => {
  world = await StreamWorld.open();
}, 180_000);
afterEach(async () => await world[Symbol.asyncDispose](), 60_000);

async function queueOf(host: Daemon): Promise<QueueView> {
  return (await (await fetch(`${host.baseUrl}/v1/queue`)).json()) as QueueView;
}

async function untilStep(host: Daemon, jobId: string, step: string): Promise<void> {
  await poll(`${jobId} is ${step}`, async () => {
    const { jobs } = await queueOf(host);
    return jobs.some((job) => job.jobId === jobId && job.step === step) || JSON.stringify(jobs);
  });
}

/** Ends a job that waits for a file. */
async function goOn(host: Daemon, jobId: string): Promise<void> {
  await writeFile(join(host.stateDir, "jobs", jobId, "go"), "");
}

test("I17: a host takes what its books can hold now, whatever `concurrency` says, and the rest is there for others", async () => {
  await using mixed = await StreamWorld.open({
    types: { big: { image: "shell", cpus: 1 }, small: { image: "shell", cpus: 0.2 } },
  });
  const env = { HEARTH_STREAM_CONCURRENCY: "8", HEARTH_CPU: "1" };
  const first = await mixed.startHost("first", "", { env });
  const ids = await Promise.all(["a", "b", "c"].map((id) => mixed.submit("test.talk", { id, type: "big" })));
  const heldBy = async (host: Daemon): Promise<string[]> =>
    (await queueOf(host)).jobs.map(({ jobId }) => jobId);
  await poll("one runs", async () => (await heldBy(first)).length > 0 || "none");
  const [mine = ""] = await heldBy(first);
  await untilStep(first, mine, "running");
  // It asks again several times a second.
  await new Promise((resolve) => setTimeout(resolve, 1500));
  expect(await heldBy(first)).toEqual([mine]);
  const second = await mixed.startHost("second", "", { env });
  await poll("the second has one as well", async () => (await heldBy(second)).length === 1 || "none");
  const [theirs = ""] = await heldBy(second);
  await goOn(first, mine);
  await poll("the first takes the last", async () => {
    const [next] = await heldBy(first);
    return (next !== undefined && next !== mine) || "not yet";
  });
  const [last = ""] = await heldBy(first);
  expect([mine, theirs, last].toSorted()).toEqual(ids);
  await untilStep(first, last, "running");
  await goOn(first, last);
  await goOn(second, theirs);
  for (const id of ids)
    expect(await mixed.ending(id)).toMatchObject({ json: { status: "success", attempt: 1 } });
});

test("one host that runs one job at a time keeps the order of its stream, also over a crash", async () => {
  const ids = Array.from({ length: 6 }, (_, at) => `turn${at}`);
  for (const [at, id] of ids.entries())
    await world.submit(at === 2 ? "test.talk" : at === 4 ? "test.nothing" : "test.noop", { id });
  const first = await world.startHost("host");
  await untilStep(first, "turn2", "running");
  await first.end("SIGKILL");
  await world.submit("test.noop", { id: "turn6" });
  const second = await world.startHost("host", "", { stateDir: first.stateDir });
  await untilStep(second, "turn2", "running");
  await goOn(second, "turn2");
  await world.ending("turn6");
  const told = (await world.events()).flatMap(({ type, json }) =>
    type === "TaskStarted" || type === "TaskCompleted" ? [`${json.id} ${type}`] : [],
  );
  const both = (id: string): string[] => [`${id} TaskStarted`, `${id} TaskCompleted`];
  const again = "turn2 TaskStarted";
  expect(told).toEqual([...ids, "turn6"].flatMap((id) => (id === "turn2" ? [again, ...both(id)] : both(id))));
}, 180_000);

describe("SIGTERM", () => {
  test("I13: one runs and ten are claimed: nothing is lost, and a second host has the ten within a second", async () => {
    const env = { HEARTH_STREAM_CLAIM_AHEAD: "10", HEARTH_DRAIN_TIMEOUT_S: "60" };
    const first = await world.startHost("first", "", { env });
    const long = await world.submit("test.talk", { id: "long" });
    await untilStep(first, long, "running");
    const others = await Promise.all(
      Array.from({ length: 10 }, (_, index) => world.submit("test.noop", { id: `ahead${index}` })),
    );
    await poll("eleven are held", async () => {
      const { jobs } = await queueOf(first);
      return jobs.length === 11 || String(jobs.length);
    });
    const second = await world.startHost("second", "", { env: { HEARTH_STREAM_CLAIM_AHEAD: "20" } });
    const ended = first.end("SIGTERM");
    const askedAtMs = performance.now();
    // That nobody looks at a clock in between is held by test/integration/queue-redis-wakes.
    await poll(
      "the second has them",
      async () => {
        const { jobs } = await queueOf(second);
        const done = (await world.events()).flatMap(({ type, json }) =>
          type === "TaskCompleted" && "host" in json && json.host === "second" ? [json.id] : [],
        );
        const there = new Set([...jobs.map(({ jobId }) => jobId), ...done]);
        return others.every((id) => there.has(id)) || [...there].join();
      },
      rowWithin(1000),
    );
    console.log(`the second host had the ten after ${Math.round(performance.now() - askedAtMs)} ms`);
    // The first has still its own to see to: it is not its end that frees the others.
    await poll("it has only its own", async () => {
      const { jobs } = await queueOf(first);
      return jobs.length === 1 || JSON.stringify(jobs);
    });
    expect(await queueOf(first)).toMatchObject({ jobs: [{ jobId: long, step: "running" }] });
    await goOn(first, long);
    expect(await ended).toBe(0);
    for (const id of [long, ...others]) {
      expect(await world.ending(id)).toMatchObject({ type: "TaskCompleted", json: { status: "success" } });
      const types = (await world.eventsOf(id)).map(({ type }) => type);
      expect(types).toEqual(["TaskStarted", "TaskCompleted"]);
    }
    expect(await world.ending(long)).toMatchObject({ json: { host: "first" } });
    for (const id of others)
      expect(await world.ending(id)).toMatchObject({ json: { host: "second", attempt: 2 } });
    const last = (await world.events()).filter(({ type }) => type === "ExecuterTerminated");
    expect(last).toMatchObject([{ json: { reason: "interrupted", detail: null, stopped_tasks: [] } }]);
    const consumers = (await world.redis.ask(
      "XINFO",
      "CONSUMERS",
      "shell_requests",
      "all_consumers",
    )) as unknown[];
    expect(consumers).toHaveLength(1);
    expect(await world.pending()).toBe(0);
  }, 180_000);

  test("D2: a job that outlasts the drain is begun anew by another host, and is told as ended once", async () => {
    const first = await world.startHost("first", "", { env: { HEARTH_DRAIN_TIMEOUT_S: "0.5" } });
    const id = await world.submit("test.talk");
    await untilStep(first, id, "running");
    const second = await world.startHost("second");
    expect(await first.end("SIGTERM")).toBe(3);
    await untilStep(second, id, "running");
    await goOn(second, id);
    expect(await world.ending(id)).toMatchObject({ json: { status: "success", host: "second", attempt: 2 } });
    const types = (await world.eventsOf(id)).map(({ type }) => type);
    expect(types).toEqual(["TaskStarted", "TaskStarted", "TaskCompleted"]);
    expect(await readdir(join(first.stateDir, "jobs"))).toEqual([".hearth"]);
  }, 180_000);

  test("D12: with on_stop: terminate its results so far are published before its end is told", async () => {
    const env = { HEARTH_DRAIN_TIMEOUT_S: "0.5", HEARTH_STREAM_ON_STOP: "terminate" };
    const host = await world.startHost("only", "", { env });
    const id = await world.submit("test.sleep", { files: { seconds: "60" } });
    const begun = join(host.stateDir, "jobs", id, "output/artifacts/begun.txt");
    await poll("it has made something", () => existsSync(begun) || "not yet");
    await host.end("SIGTERM");
    const events = (await world.events()).filter(({ type }) => type === "ExecuterTerminated");
    expect(events).toMatchObject([{ json: { reason: "interrupted", stopped_tasks: [id] } }]);
    expect(await world.output(id)).toMatchObject({ "artifacts/begun.txt": "begun\n" });
    expect(await world.pending()).toBe(0);
  }, 180_000);

  test("while nothing runs: the end is told, and the consumer is gone", async () => {
    const host = await world.startHost("idle");
    await poll(
      "it is registered",
      () => host.log().includes("executer.registered") || host.log().slice(-500),
    );
    const id = await world.submit("test.noop");
    await world.ending(id);
    expect(await host.end("SIGTERM")).toBe(0);
    const events = (await world.events()).filter(({ type }) => type === "ExecuterTerminated");
    expect(events).toMatchObject([{ json: { reason: "interrupted", stopped_tasks: [] } }]);
    const consumers = (await world.redis.ask(
      "XINFO",
      "CONSUMERS",
      "shell_requests",
      "all_consumers",
    )) as unknown[];
    expect(consumers).toHaveLength(0);
  }, 180_000);
});

describe("kill -9 of the daemon", () => {
  test("D1: its job is begun anew after a restart, and completed once", async () => {
    const stateDir = join(world.folder, "host");
    const first = await world.startHost("host", "", { stateDir });
    const id = await world.submit("test.talk");
    await untilStep(first, id, "running");
    await first.end("SIGKILL");
    const next = await world.startHost("host", "", { stateDir });
    await untilStep(next, id, "running");
    await goOn(next, id);
    expect(await world.ending(id)).toMatchObject({ json: { status: "success", attempt: 2 } });
    expect((await world.eventsOf(id)).filter(({ type }) => type === "TaskCompleted")).toHaveLength(1);
    expect(await world.pending()).toBe(0);
    await poll("no folder is left", async () => {
      const names = await readdir(join(stateDir, "jobs"));
      return names.length === 1 || names.join();
    });
  }, 180_000);

  test("D7: a kill that was heard is not forgotten with the daemon that heard it", async () => {
    const stateDir = join(world.folder, "host");
    const first = await world.startHost("host", "", { stateDir, env: { HEARTH_STREAM_KILL_GRACE_S: "60" } });
    const id = await world.submit("test.stubborn", { files: { seconds: "600" } });
    await poll("it runs", () => existsSync(join(stateDir, "jobs", id, "begun")) || first.log().slice(-800));
    await world.kill(id);
    await poll("it is being ended", async () => {
      const own = await readdir(join(stateDir, "jobs", ".hearth"), { recursive: true });
      return own.some((name) => name.endsWith(`${id}@stopped-by-killed`)) || own.join();
    });
    await first.end("SIGKILL");
    const next = await world.startHost("host", "", { stateDir });
    expect(await world.ending(id)).toMatchObject({ type: "TaskKilled", json: { status: "killed" } });
    expect((await world.eventsOf(id)).map(({ type }) => type)).toEqual(["TaskStarted", "TaskKilled"]);
    expect(await world.pending()).toBe(0);
    await poll("no folder is left", async () => {
      const names = await readdir(join(stateDir, "jobs"));
      return names.length === 1 || names.join();
    });
    expect(await next.end("SIGTERM")).toBe(0);
  }, 180_000);

  test("D25: one that never comes back loses its job to another host after its lease", async () => {
    const first = await world.startHost("first");
    const id = await world.submit("test.talk");
    await untilStep(first, id, "running");
    await first.end("SIGKILL");
    const second = await world.startHost("second");
    await untilStep(second, id, "running");
    await goOn(second, id);
    expect(await world.ending(id)).toMatchObject({
      json: { status: "success", host: "second", attempt: 2 },
    });
    const types = (await world.eventsOf(id)).map(({ type }) => type);
    expect(types).toEqual(["TaskStarted", "TaskStarted", "TaskCompleted"]);
    expect(await world.pending()).toBe(0);
  }, 180_000);

  test("F: a daemon that is stopped, and wakes after its lease, tells nothing and publishes nothing", async () => {
    const first = await world.startHost("first");
    const id = await world.submit("test.talk");
    const begun = (host: Daemon): boolean => existsSync(join(host.stateDir, "jobs", id, "begun"));
    await poll("it runs", () => begun(first) || first.log().slice(-800));
    await standStill(first.child.pid!);
    // Its job is over while it cannot look.
    await goOn(first, id);
    const second = await world.startHost("second");
    await poll("the second runs it", () => begun(second) || second.log().slice(-800));
    first.child.kill("SIGCONT");
    await poll("the first knows", () => first.log().includes("claim.lost") || first.log().slice(-800));
    await poll("its folder is gone", () => !begun(first) || "still there");
    expect((await world.eventsOf(id)).map(({ type }) => type)).toEqual(["TaskStarted", "TaskStarted"]);
    expect(await readdir(join(world.store, "t", id))).toEqual(["input.zip"]);
    await goOn(second, id);
    expect(await world.ending(id)).toMatchObject({
      json: { status: "success", host: "second", attempt: 2 },
    });
    expect((await world.eventsOf(id)).filter(({ type }) => type === "TaskCompleted")).toHaveLength(1);
    expect(await world.pending()).toBe(0);
  }, 180_000);
});

describe("Redis", () => {
  test("F2: ended and back while a job runs: the job is told as over once", async () => {
    await world[Symbol.asyncDispose]();
    world = await StreamWorld.open({ hasAof: true });
    const host = await world.startHost("host");
    const id = await world.submit("test.talk");
    await untilStep(host, id, "running");
    await world.redis.stop("SIGKILL");
    await goOn(host, id);
    await poll("health says so", async () => {
      const health = await fetch(`${host.monitorUrl}/monitoring/health`);
      return health.status === 503 || String(health.status);
    });
    await world.redis.start();
    expect(await world.ending(id)).toMatchObject({ json: { status: "success" } });
    const next = await world.submit("test.noop");
    expect(await world.ending(next)).toMatchObject({ json: { status: "success" } });
    expect((await world.eventsOf(id)).map(({ type }) => type)).toEqual(["TaskStarted", "TaskCompleted"]);
  }, 180_000);

  test("D5: away at the start: the daemon starts, and takes jobs once it answers", async () => {
    await world.redis.stop();
    const host = await world.startHost("host");
    await poll("it has started", async () => {
      const { status } = await fetch(`${host.monitorUrl}/monitoring/startup`);
      return status === 200 || String(status);
    });
    await poll("health says so", async () => {
      const { status } = await fetch(`${host.monitorUrl}/monitoring/health`);
      return status === 503 || String(status);
    });
    await world.redis.start();
    const id = await world.submit("test.noop");
    expect(await world.ending(id)).toMatchObject({ json: { status: "success" } });
  }, 180_000);
});

test("I1: exactly one of three hosts runs each of thirty jobs, and the load is shared", async () => {
  const hosts = await Promise.all(["a", "b", "c"].map(async (name) => await world.startHost(name)));
  expect(hosts).toHaveLength(3);
  for (const host of hosts) {
    await poll("it takes jobs", () => host.log().includes("executer.registered") || host.log().slice(-500));
  }
  const ids = await Promise.all(
    Array.from({ length: 30 }, (_, index) => world.submit("test.count", { id: `each${index}` })),
  );
  for (const id of ids) await world.ending(id, 60_000);
  const events = await world.events();
  for (const type of ["TaskStarted", "TaskCompleted"]) {
    const told = events.flatMap((event) =>
      event.type === type && "id" in event.json ? [event.json.id] : [],
    );
    expect(told.toSorted()).toEqual(ids.toSorted());
  }
  // What each host has run, by its own books.
  await poll("every run is in the books of one host", async () => {
    const runs = await Promise.all(hosts.map(async (host) => await host.cli("runs", "--quiet")));
    const jobs = runs.flatMap((text) => text.split("\n").filter((line) => line !== ""));
    return (
      jobs.toSorted().join() ===
        ids
          .map((id) => `${id}~1`)
          .toSorted()
          .join() || jobs.join()
    );
  });
  const by = new Set(events.flatMap(({ json }) => ("host" in json ? [json.host] : [])));
  expect(by.size).toBe(3);
  expect(await world.pending()).toBe(0);
}, 300_000);
