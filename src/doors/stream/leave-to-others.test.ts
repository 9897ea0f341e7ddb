import { expect, test } from "vitest";
import { ScriptedDoor } from "../../../test/support/scripted-jobs.ts";
import type { Clock } from "../../core/index.ts";
import { ExecutorError } from "../../core/index.ts";
import { systemClock } from "../../std/index.ts";

const tooLarge = (): ExecutorError =>
  new ExecutorError("RESOURCES_EXCEED_LIMIT", { field: "resource.mem", asked: 999_999, limit: 64 });

const NOT_HERE = [
  tooLarge(),
  new ExecutorError("GPU_UNAVAILABLE", { offered: 0 }),
  new ExecutorError("ISOLATION_UNAVAILABLE", { asked: "gvisor", offered: ["container"] }),
  new ExecutorError("NETWORK_UNAVAILABLE", { network: "egress", offered: ["none", "internal"] }),
].map((error) => [error.code, error] as const);

test.each(NOT_HERE)("a type that this host cannot give is told at the start: %s", async (_code, refusal) => {
  await using world = await ScriptedDoor.open();
  expect(world.log).not.toContain("executer-type.unfit");
  world.executor.jobs.refusal = refusal;
  await using other = await ScriptedDoor.open({}, { executor: world.executor });
  await other.until("it was told", () => other.log.includes("executer-type.unfit"));
});

test.each(NOT_HERE)("its jobs are left to others, and do not fail: %s", async (_code, refusal) => {
  await using world = await ScriptedDoor.open();
  world.executor.jobs.refusal = refusal;
  world.submit();
  await world.until("it is handed back", () => world.log.includes("claim.released"));
  expect(world.types()).toEqual([]);
});

test("a class whose probe fails while a job of it starts: it is another host's", async () => {
  await using world = await ScriptedDoor.open();
  world.steps.start = () => Promise.reject(new ExecutorError("ISOLATION_UNAVAILABLE", { asked: "gvisor" }));
  world.submit();
  await world.until("it is handed back", () => world.log.includes("claim.released"));
  expect(world.types()).not.toContain("TaskCompleted");
});

test("a job that is too large for this host is left to a bigger one, and asked for again after a while only", async () => {
  let aheadMs = 0;
  const clock: Clock = { ...systemClock, nowMs: () => systemClock.nowMs() + aheadMs };
  await using world = await ScriptedDoor.open({ leaseMs: 600_000 }, { clock });
  world.executor.jobs.refusal = tooLarge();
  const id = world.submit();
  await world.until("it is handed back", () => world.log.includes("claim.released"));
  // Nobody but this host is there, and it asks all the time.
  const handedBack = (): number => world.log.filter((event) => event === "claim.released").length;
  const bigger = world.source("bigger");
  const [claim] = await bigger.claim(1, 5000, new AbortController().signal);
  expect(claim).toMatchObject({ jobId: id, deaths: 0, failures: 0 });
  expect(handedBack()).toBe(1);
  // It passes over it for two leases.
  aheadMs = 3 * 600_000;
  await bigger.release([claim!], "it is only looked at");
  await world.until("it is looked at again", () => handedBack() === 2);
  expect(world.types()).toEqual([]);
  expect(await bigger.deadLetters(10, new AbortController().signal)).toEqual([]);
  await bigger[Symbol.asyncDispose]();
});

test("a line of jobs that are too large is told once for their type, and not for each of them", async () => {
  const levels: string[] = [];
  const log = {
    log: (level: string, event: string) => {
      if (event === "claim.released") levels.push(level);
    },
  };
  await using world = await ScriptedDoor.open({}, { log });
  world.executor.jobs.refusal = tooLarge();
  for (let at = 0; at < 4; at += 1) world.submit();
  await world.until("all are handed back", () => levels.length >= 4);
  expect(levels.filter((level) => level !== "debug")).toEqual(["warn"]);
});

test("what was too large before runs when this host can give it", async () => {
  await using world = await ScriptedDoor.open({ leaseMs: 300 });
  world.executor.jobs.refusal = tooLarge();
  const id = world.submit();
  await world.until("it is handed back", () => world.log.includes("claim.released"));
  world.executor.jobs.refusal = undefined;
  (await world.started()).exit();
  expect(await world.event("TaskCompleted")).toMatchObject({ json: { id, status: "success" } });
});

test("other jobs are not kept waiting by it", async () => {
  await using world = await ScriptedDoor.open();
  const check = world.executor.jobs.check.bind(world.executor.jobs);
  let isFirst = true;
  world.executor.jobs.check = (task) => {
    if (isFirst) {
      isFirst = false;
      throw tooLarge();
    }
    check(task);
  };
  world.submit({ id: "large" });
  world.submit({ id: "small" });
  (await world.started()).exit();
  expect(await world.event("TaskCompleted")).toMatchObject({ json: { id: "small", status: "success" } });
});

test("a kill that was sent before is heard all the same", async () => {
  await using world = await ScriptedDoor.open();
  world.executor.jobs.refusal = tooLarge();
  world.queue.send("large", "kill");
  world.submit({ id: "large" });
  expect(await world.event("TaskKilled")).toMatchObject({ json: { id: "large", status: "killed" } });
});

test("cards that go while a job waits for them: it is another host's", async () => {
  await using world = await ScriptedDoor.open();
  world.executor.jobs.reserving = () => Promise.reject(new ExecutorError("GPU_UNAVAILABLE", { offered: 0 }));
  world.submit();
  await world.until("it is handed back", () => world.log.includes("claim.released"));
  expect(world.types()).toEqual([]);
});

test("D6: a job that is put aside has an empty result, for whoever reads its end", async () => {
  await using world = await ScriptedDoor.open({ maxDeaths: 0 });
  const id = world.submit();
  expect(await world.event("TaskCompleted")).toMatchObject({ json: { id, status: "failed" } });
  expect([...world.objects]).toEqual([`t/${id}/output.zip`]);
});
