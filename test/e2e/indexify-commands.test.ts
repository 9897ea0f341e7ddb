import { existsSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { ContainerType } from "../../src/gen/executor_api_pb.js";
import type { DaemonWorld } from "../support/indexify/daemon-world.ts";
import { openDaemonWorld } from "../support/indexify/daemon-world.ts";
import { valueOf } from "../support/indexify/request-end.ts";
import { poll } from "../support/poll.ts";
import { random } from "../support/random.ts";

const SLOW_MS = 300_000;

describe.skipIf(!existsSync("/usr/bin/python3"))("X7: what a server asks, with the real worker", () => {
  let world: DaemonWorld;
  beforeAll(async () => {
    world = await openDaemonWorld();
  }, 400_000);
  afterAll(async () => await world[Symbol.asyncDispose]());

  const untilAloneRuns = (id: string): Promise<void> =>
    poll(
      `${id} alone runs in the end`,
      async () => {
        const { text } = await world.monitor("/state/desired");
        const isRunning = text.includes(`container id=${id} function=default:tests:hello:v1 state=running`);
        const workers = await world.workers();
        return (isRunning && workers.length === 1) || `${text}\n${workers.join()}`;
      },
      60_000,
    );

  test(
    "added, removed and added again there is one worker in the end; a wrong description is rejected alone",
    async () => {
      const { scheduler, daemon } = world;
      const { server, executorId } = scheduler;
      await scheduler.addContainer("c", "hello");
      scheduler.removeContainer("c");
      await scheduler.addContainer("c", "hello");
      server.send(executorId, {
        case: "addContainer",
        value: { container: { id: "wrong", containerType: ContainerType.FUNCTION } },
      });
      scheduler.removeContainer("c");
      await scheduler.addContainer("c", "hello");
      // It comes before the last two commands, which are what `c` comes to in the end.
      await poll(
        "the wrong one is refused",
        () => daemon.log().includes("indexify.command-refused") || daemon.log().slice(-600),
      );
      await untilAloneRuns("c");
      expect((await world.monitor("/state/desired")).text).not.toContain("wrong");
      expect(server.executor(executorId).registrations).toBe(1);
      expect(server.violations).toEqual([]);
      scheduler.removeContainer("c");
      await poll("none is left", async () => (await world.workers()).length === 0 || "not yet");
    },
    SLOW_MS,
  );

  test(
    "commands that come twice and in any order change nothing, and calls are answered meanwhile",
    async () => {
      const { scheduler } = world;
      const { misbehaviour } = scheduler.server;
      Object.assign(misbehaviour, { repeatsCommands: true, reorders: random(7) });
      const outcomes = scheduler.server.outcomes.length;
      await scheduler.addContainer("d", "hello");
      scheduler.removeContainer("d");
      await scheduler.addContainer("d", "hello");
      await untilAloneRuns("d");
      const names = ["one", "two", "three", "four"];
      const answers = await Promise.all(
        names.map(async (name) => await valueOf(await world.call("hello", name))),
      );
      expect(answers).toEqual(names.map((name) => `hello ${name}`));
      expect(scheduler.server.outcomes).toHaveLength(outcomes + names.length);
      expect(await world.workers()).toHaveLength(2);
      expect(scheduler.server.violations).toEqual([]);
    },
    SLOW_MS,
  );
});
