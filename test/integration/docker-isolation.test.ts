import { randomInt } from "node:crypto";
import { existsSync } from "node:fs";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import type { Leftover, RuntimeSetting, SandboxDriver } from "../../src/core/index.ts";
import type { DockerWorld } from "../support/docker-world.ts";
import { never, openDockerWorld, startTask } from "../support/docker-world.ts";
import { buildTaskImage } from "../support/images.ts";
import { poll } from "../support/poll.ts";
import type { EngineRuntime, PrivateEngine } from "../support/private-engine.ts";
import { GVISOR, openPrivateEngine, PLAIN_RUNC, whyNoEngine } from "../support/private-engine.ts";

const reason = whyNoEngine() ?? (existsSync(GVISOR.path) ? undefined : "runsc is not installed");
const RUNSC: RuntimeSetting = { name: "runsc", isolation: "gvisor", limits: "optional" };

describe.skipIf(reason !== undefined)(
  `the classes of the docker driver${reason === undefined ? "" : ` (${reason})`}`,
  () => {
    let engine: PrivateEngine;
    /** runsc under two further names, of which one changes; and runc under a name that promises more. */
    const runtimes: Record<string, EngineRuntime> = {
      runsc: GVISOR,
      other: GVISOR,
      fake: PLAIN_RUNC,
      swapped: GVISOR,
    };
    let world: DockerWorld;
    let image: string;
    const networkRange = `10.${randomInt(64, 96)}.${randomInt(16) * 16}.0/20`;
    const open = (...runtimes: readonly RuntimeSetting[]): Promise<SandboxDriver> =>
      world.open({ networksAhead: 1, networkRange, runtimes });
    const stateOf = (driver: SandboxDriver, isolation: string): string | undefined =>
      driver.classes().find((one) => one.isolation === isolation)?.state;

    beforeAll(async () => {
      engine = await openPrivateEngine({ runtimes });
    }, 180_000);
    afterAll(async () => {
      await engine[Symbol.asyncDispose]();
    });
    beforeEach(async () => {
      world = openDockerWorld(engine.socketPath);
      image = await buildTaskImage(world.docker, "serves", {
        main: "echo meca-init-done; exec nc -ll -p 8080 -e /handler",
      });
    });
    afterEach(async () => {
      await world[Symbol.asyncDispose]();
    });

    test("a class is unproven first, a start in it waits for its probe, and then it is what was seen", async () => {
      const driver = await open(RUNSC);
      expect(stateOf(driver, "gvisor")).toBe("unproven");
      expect(driver.capabilities.isolation).not.toContain("gvisor");
      const sandbox = await startTask(driver, image, { task: { isolation: "gvisor" } });
      expect(sandbox.isolation).toBe("gvisor");
      expect(stateOf(driver, "gvisor")).toBe("usable");
      expect(driver.capabilities.isolation).toEqual(["container", "gvisor"]);
      await sandbox.stop(0);
    });

    test("new settings: what changed is proven anew, what is gone is refused, what stays keeps its proof", async () => {
      const driver = await open(RUNSC);
      await driver.probe(never());
      driver.configure({ runtimes: [RUNSC, { name: "fake", isolation: "microVM", limits: "required" }] });
      expect([stateOf(driver, "gvisor"), stateOf(driver, "microVM")]).toEqual(["usable", "unproven"]);
      await expect(startTask(driver, image, { task: { isolation: "microVM" } })).rejects.toMatchObject({
        code: "ISOLATION_UNAVAILABLE",
        facts: { asked: "microVM", offered: expect.arrayContaining(["container", "gvisor"]) as unknown },
      });
      driver.configure({ runtimes: [] });
      await expect(startTask(driver, image, { task: { isolation: "gvisor" } })).rejects.toMatchObject({
        code: "ISOLATION_UNAVAILABLE",
      });
    });

    test("a network in which another runtime was is not used again", async () => {
      const driver = await open(RUNSC);
      await driver.probe(never());
      const networks = async (): Promise<string[]> =>
        (await world.remains()).filter((name) => name.startsWith("hearth_net_"));
      const strong = await startTask(driver, image, { task: { isolation: "gvisor" } });
      const [joined] = (
        await world.docker.getContainer(strong.label).inspect()
      ).HostConfig.NetworkMode?.split("container:").slice(1) ?? [""];
      await strong.stop(0);
      await poll("the sleeping container of that network is gone", async () => {
        const all = await world.docker.listContainers({ all: true });
        return all.every(({ Id }) => Id !== joined) || (await networks()).join();
      });
      expect(joined).not.toBe("");
    });

    test("a sandbox is taken over in the class that it has, and in no other", async () => {
      const first = await open(RUNSC);
      const sandbox = await startTask(first, image, { task: { isolation: "gvisor" } });
      const original = await world.docker.getContainer(sandbox.label).inspect();
      // What says of itself that it is stronger than it is: all our labels and our kind of name, but in runc.
      const forged = await world.docker.createContainer({
        name: `mecanywhere_forged_${randomInt(1e9)}`,
        Image: original.Image,
        Entrypoint: ["/bin/sh", "-c", "sleep 1000"],
        Labels: { ...original.Config.Labels, "hearth.sandbox": "forged" },
        HostConfig: { NetworkMode: original.HostConfig.NetworkMode ?? "none" },
      });
      await forged.start();
      const leftoversOf = async (...runtimes: readonly RuntimeSetting[]): Promise<Map<string, Leftover>> => {
        const life = await open(...runtimes);
        return new Map((await life.leftovers(never())).map((one) => [one.sandboxId, one]));
      };
      // No runtime, another runtime under the class, and the class with its limits required: none is what it was made for.
      for (const runtimes of [
        [],
        [{ ...RUNSC, name: "other" }],
        [{ ...RUNSC, limits: "required" }],
      ] as const) {
        const refused = (await leftoversOf(...runtimes)).get(sandbox.id)?.adopt(never());
        await expect(refused).rejects.toThrow(/isolation/);
      }
      const last = await leftoversOf(RUNSC);
      await expect(last.get("forged")?.adopt(never())).rejects.toThrow(/it runs in runc/);
      const adopted = await last.get(sandbox.id)?.adopt(never());
      expect(adopted?.isolation).toBe("gvisor");
      await last.get("forged")?.reap(never());
      await adopted?.stop(0);
    });

    test("F: a runtime that an engine comes back with as plain runc, under the same name, is caught", async () => {
      const driver = await open({ name: "swapped", isolation: "microVM", limits: "optional" });
      const before = await startTask(driver, image, { task: { isolation: "microVM" } });
      expect(before.isolation).toBe("microVM");
      await before.stop(0);
      runtimes["swapped"] = PLAIN_RUNC;
      await engine.stop();
      await engine.start();
      await poll("it is tested anew", () => stateOf(driver, "microVM") === "unusable" || "not yet");
      await expect(startTask(driver, image, { task: { isolation: "microVM" } })).rejects.toMatchObject({
        code: "ISOLATION_UNAVAILABLE",
        message: expect.stringContaining("no stronger than a container") as string,
      });
      const plain = await startTask(driver, image);
      expect(plain.isolation).toBe("container");
      await plain.stop(0);
    }, 240_000);

    test("F: a runtime behind whose name a reload of the engine puts plain runc is caught at the next start, without a word", async () => {
      runtimes["swapped"] = GVISOR;
      await engine.reload();
      const driver = await open({ name: "swapped", isolation: "gvisor", limits: "optional" });
      const before = await startTask(driver, image, { task: { isolation: "gvisor" } });
      expect(before.isolation).toBe("gvisor");
      await before.stop(0);
      runtimes["swapped"] = PLAIN_RUNC;
      await engine.reload();
      expect(stateOf(driver, "gvisor")).toBe("usable");
      await expect(startTask(driver, image, { task: { isolation: "gvisor" } })).rejects.toMatchObject({
        code: "ISOLATION_UNAVAILABLE",
      });
      expect(stateOf(driver, "gvisor")).toBe("unusable");
    });

    test("E8: test sandboxes that a killed life left are swept, and are nobody's leftovers", async () => {
      const first = await open();
      await first.probe(never());
      const labels = { "hearth.owner": world.ownerId, "hearth.instance": "killed", "hearth.kind": "probe" };
      const name = `hearth_probe_${randomInt(1e9)}`;
      const orphan = await world.docker.createContainer({
        name,
        Image: image,
        Labels: labels,
        HostConfig: { NetworkMode: "none" },
      });
      await orphan.start();
      expect(await first.leftovers(never())).toEqual([]);
      await poll("it is gone", async () => !(await world.remains()).includes(name) || "still there");
    });
  },
);
