import { existsSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { FakeExecutor } from "../../../test/support/fake-executor.ts";
import { REGISTRATION, ScriptedDoor, ScriptedJob } from "../../../test/support/scripted-jobs.ts";
import type { TaskSpec } from "../../core/index.ts";
import { asId, DEFAULT_RESOURCES } from "../../core/index.ts";
import type { LeftoverJob } from "../../engine/jobs/jobs.ts";
import type { StreamDoorOptions } from "./door-options.ts";

const TASK: TaskSpec = {
  image: "shell",
  isolation: "default",
  resources: DEFAULT_RESOURCES,
  sgx: false,
  network: "internal",
};

/** A lease that no test outlives: what goes by leases does not happen. */
const FOR_EVER = { leaseMs: 3_600_000, concurrency: 4 };

interface Leftover extends LeftoverJob {
  readonly job: ScriptedJob;
  became: "adopted" | "reaped" | undefined;
}

function leftoverOf(jobId: string, attempt = 1): Leftover {
  const mark = { jobId, attempt };
  const job = new ScriptedJob(
    { mark, door: "stream", task: TASK },
    {
      command: ["/bin/true"],
      environment: {},
      workDir: { localPath: "/nowhere", hostPath: "/nowhere", target: "/working_dir" },
      user: undefined,
      pidsLimit: undefined,
      deadlineMs: 1e6,
      inputBytes: 0,
    },
  );
  const leftover: Leftover = {
    mark,
    sandboxId: asId<"sandbox">(jobId),
    job,
    became: undefined,
    adopt() {
      leftover.became = "adopted";
      return Promise.resolve(job);
    },
    reap() {
      leftover.became = "reaped";
      return Promise.resolve();
    },
  };
  return leftover;
}

/** A door that finds work of its earlier life; before it has opened a test says what has become of that. */
async function openAgain(
  leftovers: readonly Leftover[],
  more: Partial<StreamDoorOptions> = {},
): Promise<{ world: ScriptedDoor; executor: FakeExecutor; open(): void }> {
  const executor = new FakeExecutor();
  executor.jobs.left = [...leftovers];
  let open: () => void = () => undefined;
  const opened = new Promise<void>((resolve) => {
    open = resolve;
  });
  const register = async (): Promise<typeof REGISTRATION & { redis_streams: string[] }> => {
    await opened;
    return { ...REGISTRATION, redis_streams: [...REGISTRATION.redis_streams] };
  };
  const world = await ScriptedDoor.open(FOR_EVER, { executor, register, ...more });
  executor.jobs.hasRoom = true;
  return { world, executor, open };
}

const signal = new AbortController().signal;

test("I12: what others took meanwhile is ended as soon as the queue has given this host its own, without waiting for leases", async () => {
  const [mine, taken, over] = [leftoverOf("mine"), leftoverOf("taken"), leftoverOf("over")];
  const { world, open } = await openAgain([mine, taken, over]);
  await using _ = world;
  for (const id of ["mine", "taken", "over"]) world.submit({ id });
  const before = world.source("here");
  const [, second, third] = await before.claim(3, 1000, signal);
  await before.release([second!, third!], "its lease ran out");
  const other = world.source("other");
  const [, done] = await other.claim(2, 1000, signal);
  await other.commit(done!, { result: {}, events: [] });
  // There is more to do than this host has room for.
  for (let at = 0; at < 20; at += 1) world.submit();
  open();
  await world.until("it has gone", () => taken.became !== undefined && over.became !== undefined);
  expect([taken.became, over.became]).toEqual(["reaped", "reaped"]);
  await world.until("its own goes on", () => mine.became === "adopted");
  mine.job.exit();
  await world.until("its end is told", () => world.types().includes("TaskCompleted"));
  expect(world.log.filter((event) => event === "claim.lost")).toHaveLength(2);
});

test.each([
  ["told", true],
  ["not told", false],
])(
  "D10: a job that goes on, whose start an earlier life has %s, is told as begun once",
  async (_, hasTold) => {
    const mine = leftoverOf("mine");
    const { world, open } = await openAgain([mine]);
    await using _world = world;
    world.submit({ id: "mine" });
    const before = world.source("here");
    const [claim] = await before.claim(1, 1000, signal);
    if (hasTold) await before.publish([{ type: "TaskStarted", json: { id: "mine" } }], claim);
    open();
    await world.until("it goes on", () => mine.became === "adopted");
    mine.job.exit();
    await world.until("its end is told", () => world.types().includes("TaskCompleted"));
    expect(world.types()).toEqual(["TaskStarted", "TaskCompleted"]);
  },
);

/** What a test holds up until it says so. */
function gate(): { readonly passed: Promise<void>; open(): void } {
  let open: () => void = () => undefined;
  const passed = new Promise<void>((resolve) => {
    open = resolve;
  });
  return { passed, open: () => open() };
}

test("what was adopted and is another host's by then leaves nothing here", async () => {
  const mine = leftoverOf("mine");
  const queue = {
    ready: () => Promise.resolve(),
    open: () => {
      const source = opened.world.source("here");
      source.resume = () => Promise.resolve(undefined);
      return Promise.resolve(source);
    },
  };
  const opened = await openAgain([mine], { queue });
  await using world = opened.world;
  world.submit({ id: "mine" });
  await world.source("here").claim(1, 1000, signal);
  opened.open();
  await world.until("it is settled", () => mine.job.settled === 1);
  expect([mine.became, mine.job.stops]).toEqual(["adopted", ["lease"]]);
  expect(world.types()).toEqual([]);
});

test("a leftover that is reaped while its job comes back here takes nothing of the new attempt with it", async () => {
  const taken = leftoverOf("taken");
  const reaping = gate();
  taken.reap = async () => {
    taken.became = "reaped";
    await reaping.passed;
  };
  const { world, executor, open } = await openAgain([taken]);
  await using _ = world;
  executor.jobs.reserving = world.executor.jobs.reserving;
  world.submit({ id: "taken" });
  const here = world.source("here");
  const [claim] = await here.claim(1, 1000, signal);
  await here.release([claim!], "its lease ran out");
  const other = world.source("other");
  const [theirs] = await other.claim(1, 1000, signal);
  open();
  await world.until("it is reaped", () => taken.became === "reaped");
  await other.release([theirs!], "its host stops");
  await world.until("it is claimed", () => world.door.view().jobs.length === 1);
  reaping.open();
  const job = await world.started();
  await new Promise((resolve) => setTimeout(resolve, 100));
  expect(existsSync(join(world.folder, "taken", "unpacked"))).toBe(true);
  job.exit();
  await world.event("TaskCompleted");
});

test("a kill that comes while a job that was handed back is still tidied up is heard by whoever has it next", async () => {
  await using world = await ScriptedDoor.open({ concurrency: 1 });
  const id = world.submit();
  const job = await world.started();
  const settling = gate();
  job.settle = async () => await settling.passed;
  job.lose();
  await world.until("it is handed back", () => world.log.includes("claim.released"));
  world.queue.send(id, "kill");
  await new Promise((resolve) => setTimeout(resolve, 20));
  settling.open();
  await world.event("TaskKilled");
  expect(world.jobs).toHaveLength(1);
});

test("a job that was handed back and is here again before all of it has gone is its next attempt, and none is skipped", async () => {
  await using world = await ScriptedDoor.open({ concurrency: 2 });
  world.submit();
  const first = await world.started();
  const settling = gate();
  first.settle = async () => await settling.passed;
  first.lose();
  await world.until("it is here again", () => world.door.view().jobs.length === 2);
  expect(world.jobs).toHaveLength(1);
  settling.open();
  const second = await world.started(1);
  second.exit();
  expect(await world.event("TaskCompleted")).toMatchObject({ json: { attempt: 2, status: "success" } });
  expect([first.mark.attempt, second.mark.attempt]).toEqual([1, 2]);
});
