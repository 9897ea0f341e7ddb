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
        const { text } = await world.monitor("/state/reported");
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

  /** Waits until a page has all of these, and none of those. */
  const untilShown = (state: "desired" | "reported", all: readonly string[], none: readonly string[] = []) =>
    poll(
      `${state} has ${all.join()} and not ${none.join()}`,
      async () => {
        const { text } = await world.monitor(`/state/${state}`);
        const isShown = all.every((line) => text.includes(line)) && !none.some((line) => text.includes(line));
        return isShown || text;
      },
      60_000,
    );

  test(
    "X5, X6: what is wanted is desired and what there is of it reported, until each is gone; the hash of this host is then what it was, also after a restart",
    async () => {
      const { scheduler } = world;
      Object.assign(scheduler.server.misbehaviour, { repeatsCommands: false, reorders: undefined });
      world.keepOnly();
      const none = ["\ncontainer ", "\nallocation "];
      await untilShown("reported", [`executor_id=${scheduler.executorId}\n`, "\nstate_hash="], none);
      await poll("their room is free", async () => {
        const facts = await factsOf(world);
        return (
          (facts["free_cpu_cores"] === facts["total_cpu_cores"] &&
            facts["free_memory_bytes"] === facts["total_memory_bytes"]) ||
          JSON.stringify(facts)
        );
      });
      const hash = `\nstate_hash=${String((await factsOf(world))["state_hash"])}\n`;

      const wanted = "container id=seen function=default:tests:hello:v1";
      await scheduler.addContainer("seen", "hello");
      await untilShown("desired", [`${wanted}\n`]);
      await untilShown("reported", [`\n${wanted} state=running\n`]);
      const slept = world.call("sleeps", 15);
      await world.untilRuns();
      const desired = await jsonOf(world, "desired");
      const [allocation] = desired["allocations"] as readonly Facts[];
      const [running] = (await factsOf(world))["allocations"] as readonly Facts[];
      expect(Object.keys(allocation ?? {})).toEqual(["id", "containerId", "requestId"]);
      expect(running).toEqual({ ...allocation, phase: "running" });
      expect(desired["containers"]).toContainEqual({ id: "seen", function: "default:tests:hello:v1" });
      expect(await valueOf(await slept)).toBe("slept");

      scheduler.removeContainer("seen");
      await untilShown("desired", [], ["container id=seen "]);
      world.keepOnly();
      await untilShown("desired", [], ["container ", "allocation "]);
      await untilShown("reported", ["\nstate_hash="], none);
      await untilShown("reported", [hash]);
      await world.daemon.end("SIGTERM");
      await world.startAgain();
      await untilShown("reported", [hash], none);
    },
    SLOW_MS,
  );
});

type Facts = Readonly<Record<string, unknown>>;

async function jsonOf({ daemon }: DaemonWorld, state: "desired" | "reported"): Promise<Facts> {
  const headers = { accept: "application/json" };
  return (await (await fetch(`${daemon.monitorUrl}/state/${state}`, { headers })).json()) as Facts;
}

/** What the host says of itself. */
async function factsOf(world: DaemonWorld): Promise<Facts> {
  return await jsonOf(world, "reported");
}
