import Docker from "dockerode";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import type { ExecutorError, SandboxDriver } from "../../src/core/index.ts";
import { postOverHttp } from "../conformance/sandbox-driver/harness.ts";
import type { DockerWorld } from "../support/docker-world.ts";
import { never, openDockerWorld, startTask } from "../support/docker-world.ts";
import type { EngineProxy, Fate, ProxiedCall } from "../support/engine-proxy.ts";
import { openEngineProxy, PASS } from "../support/engine-proxy.ts";
import { buildTaskImage } from "../support/images.ts";
import { poll } from "../support/poll.ts";
import type { PrivateEngine } from "../support/private-engine.ts";
import { openPrivateEngine, whyNoEngine } from "../support/private-engine.ts";

const reason = whyNoEngine();
const SERVER = { main: "echo meca-init-done; exec nc -ll -p 8080 -e /handler" };

describe.skipIf(reason !== undefined)(reason ?? "faults between the docker driver and its engine", () => {
  let engine: PrivateEngine;
  let image: string;
  let proxy: EngineProxy;
  let world: DockerWorld;
  let driver: SandboxDriver;

  beforeAll(async () => {
    engine = await openPrivateEngine();
    image = await buildTaskImage(new Docker({ socketPath: engine.socketPath }), "server", SERVER);
  }, 240_000);
  afterAll(async () => {
    await engine[Symbol.asyncDispose]();
  });
  beforeEach(async () => {
    proxy = await openEngineProxy(engine.socketPath);
    world = openDockerWorld(engine.socketPath);
    driver = await world.open({ socketPath: proxy.socketPath, networksAhead: 1 });
  });
  afterEach(async () => {
    proxy.decide = () => PASS;
    await world[Symbol.asyncDispose]();
    await proxy[Symbol.asyncDispose]();
  });

  /** A look has a deadline, which an engine that begins its life may miss. */
  const untilHealthy = (): Promise<void> =>
    poll("the engine is well", async () => {
      const { isHealthy } = await driver.health(never());
      return isHealthy || "not yet";
    });

  /** Waits until no task's container is left; networks go when the driver is quiet. */
  const untilNoTask = (): Promise<void> =>
    poll("no task is left", async () => {
      const left = (await world.remains()).filter((name) => name.startsWith("mecanywhere_"));
      return left.length === 0 ? true : left.join(", ");
    });

  describe("an engine that goes away", () => {
    test.each(["stop", "kill"] as const)(
      "C1, C2: %s and start: what it ran is lost, and new tasks start",
      async (how) => {
        const sandbox = await startTask(driver, image);
        await engine[how]();
        expect(await driver.health(never())).toMatchObject({ isHealthy: false });
        await engine.start();
        expect(await sandbox.ended).toEqual({ type: "lost" });
        await sandbox.stop(0);
        await untilHealthy();
        const next = await startTask(driver, image);
        expect(await postOverHttp(next, "again")).toEqual({ status: 200, body: "again" });
        await next.stop(0);
        await untilNoTask();
      },
      240_000,
    );

    test("C1: with live restore what it ran goes on, and its end is still noticed", async () => {
      await using lasting = await openPrivateEngine({ liveRestore: true });
      const docker = new Docker({ socketPath: lasting.socketPath });
      const own = await buildTaskImage(docker, "server", SERVER);
      await using other = openDockerWorld(lasting.socketPath);
      const sandbox = await startTask(await other.open(), own);
      await lasting.stop();
      expect(await postOverHttp(sandbox, "alone")).toEqual({ status: 200, body: "alone" });
      await lasting.start();
      expect(await postOverHttp(sandbox, "together")).toEqual({ status: 200, body: "together" });
      await docker.getContainer(sandbox.label).kill();
      expect((await sandbox.ended).type).toMatch(/^(signalled|lost)$/);
      await sandbox.stop(0);
    }, 240_000);

    test("C3: calls to an engine that hangs fail at once after two deadlines, and work again when it goes on", async () => {
      await engine.standStill();
      try {
        for (const _ of [1, 2]) expect(await driver.health(never())).toMatchObject({ isHealthy: false });
        const messages: string[] = [];
        // Once in a second it is asked after all.
        for (const _ of [1, 2]) {
          const error = await driver
            .resolve(image, { refresh: "missing" }, never())
            .catch((thrown: unknown) => thrown);
          expect(error).toMatchObject({ code: "ENGINE_UNAVAILABLE" });
          messages.push((error as ExecutorError).message);
        }
        expect(messages.join()).toContain("stopped answering");
      } finally {
        engine.goOn();
      }
      await poll("the driver works again", async () =>
        driver.resolve(image, { refresh: "missing" }, never()).then(
          () => true as const,
          (thrown: unknown) => String(thrown),
        ),
      );
    });

    test("a death during a break in the stream of events is noticed afterwards", async () => {
      const sandbox = await startTask(driver, image);
      let isCut = true;
      proxy.decide = (call) => (isCut && call.path.startsWith("/events") ? answer(500) : PASS);
      proxy.cut((call) => call.path.startsWith("/events"));
      await world.docker.getContainer(sandbox.label).stop({ t: 0 });
      isCut = false;
      expect((await sandbox.ended).type).toMatch(/^(signalled|lost)$/);
    });
  });

  describe("somebody else", () => {
    test("C7: a container that is removed from outside is lost", async () => {
      const sandbox = await startTask(driver, image);
      await world.docker.getContainer(sandbox.label).remove({ force: true });
      expect(await sandbox.ended).toEqual({ type: "lost" });
      await sandbox.stop(1000);
    });

    test("C7: a container that is paused from outside has not ended, and can be stopped", async () => {
      const sandbox = await startTask(driver, image);
      await world.docker.getContainer(sandbox.label).pause();
      // What the engine says later than the pause is heard before its answer to a look.
      const first = await Promise.race([sandbox.ended, untilHealthy()]);
      expect(first).toBeUndefined();
      await sandbox.stop(100);
      expect(await sandbox.ended).toEqual({ type: "stopped" });
      await untilNoTask();
    });

    test("C7: a container that is renamed is still ours", async () => {
      const sandbox = await startTask(driver, image);
      await world.docker.getContainer(sandbox.label).rename({ name: `renamed_${world.ownerId}` });
      expect(await postOverHttp(sandbox, "x")).toEqual({ status: 200, body: "x" });
      await sandbox.stop(0);
      expect((await world.remains()).filter((name) => name.startsWith("renamed_"))).toEqual([]);
    });

    test("C7: a network sandbox that is killed costs the next start nothing but time", async () => {
      await untilSpare(1);
      for (const name of await world.remains()) {
        if (name.startsWith("hearth_net_"))
          await world.docker
            .getContainer(name)
            .kill()
            .catch(() => undefined);
      }
      const sandbox = await startTask(driver, image);
      expect(await postOverHttp(sandbox, "x")).toEqual({ status: 200, body: "x" });
      await sandbox.stop(0);
    });
  });

  describe("a verb that fails", () => {
    const verbs: readonly [string, (call: ProxiedCall) => boolean][] = [
      ["create", ({ path }) => path.startsWith("/containers/create")],
      ["start", ({ path }) => /^\/containers\/[^/]+\/start/.test(path)],
    ];

    test.each(verbs)("C4: %s answers 500: a clear error, and nothing is left", async (_, isIt) => {
      await untilSpare(1);
      proxy.decide = (call) => (isIt(call) && !isPause(call) ? answer(500) : PASS);
      await expect(startTask(driver, image)).rejects.toMatchObject({
        code: expect.stringMatching(/^(ENGINE_FAILED|SANDBOX_START_FAILED)$/) as string,
      });
      await untilNoTask();
    });

    test.each(verbs)(
      "C4: the answer to %s is lost: the start ends in time, and nothing is left",
      async (_, isIt) => {
        await untilSpare(1);
        proxy.decide = (call) => (isIt(call) && !isPause(call) ? { type: "loseReply" } : PASS);
        await expect(startTask(driver, image, { startTimeoutMs: 800 })).rejects.toMatchObject({
          code: "START_TIMEOUT",
        });
        await untilNoTask();
      },
    );

    test.each(verbs)(
      "the caller gives up during %s: it is told at once, and nothing is left",
      async (_, isIt) => {
        await untilSpare(1);
        const gone = new AbortController();
        const cause = new Error("gone");
        proxy.decide = async (call) => {
          if (!isIt(call) || isPause(call)) return PASS;
          gone.abort(cause);
          await driver.health(never());
          return PASS;
        };
        await expect(startTask(driver, image, { signal: gone.signal })).rejects.toBe(cause);
        await untilNoTask();
      },
    );

    test("C13: a removal that fails three times is tried again until the container is gone", async () => {
      const sandbox = await startTask(driver, image);
      let failures = 0;
      proxy.decide = (call) => {
        if (call.method !== "DELETE" || failures === 3) return PASS;
        failures += 1;
        return answer(failures === 1 ? 500 : 409, "removal of container is already in progress");
      };
      await sandbox.stop(0);
      expect(failures).toBe(3);
      expect(await sandbox.ended).toEqual({ type: "stopped" });
      await untilNoTask();
    });

    test("a full disk is told as such", async () => {
      await untilSpare(1);
      const [isCreate] = verbs.map(([, isIt]) => isIt);
      proxy.decide = (call) =>
        isCreate?.(call) === true && !isPause(call) ? answer(500, "mkdir /x: no space left on device") : PASS;
      await expect(startTask(driver, image)).rejects.toMatchObject({ code: "DISK_FULL" });
    });
  });

  /** Waits until the driver keeps this many network sandboxes ready. */
  const untilSpare = (count: number): Promise<void> =>
    poll("network sandboxes are ready", async () => {
      const rows = await world.docker.listContainers({
        filters: { label: [`hearth.owner=${world.ownerId}`] },
      });
      const running = rows.filter((row) => row.Names[0]?.startsWith("/hearth_net_") === true);
      return running.length >= count ? true : `${running.length} of ${count}`;
    });
});

function answer(status: number, message = "the engine is out of order"): Fate {
  return { type: "answer", status, body: JSON.stringify({ message }) };
}

/** Network sandboxes are made behind a test's back: faults are for the task's own calls. */
function isPause({ path }: ProxiedCall): boolean {
  return path.includes("name=hearth_net_");
}
