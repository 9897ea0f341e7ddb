import { existsSync } from "node:fs";
import { mkdir, readdir, symlink } from "node:fs/promises";
import { join } from "node:path";
import Docker from "dockerode";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { freshName } from "../support/fresh-name.ts";
import { buildJobImage, JOB_IMAGE } from "../support/images.ts";
import { poll } from "../support/poll.ts";
import type { PrivateEngine } from "../support/private-engine.ts";
import { openPrivateEngine, whyNoEngine } from "../support/private-engine.ts";
import { rangeOf } from "../support/range-of.ts";
import type { Daemon } from "../support/start-daemon.ts";
import { StreamWorld } from "../support/stream-world.ts";

const reason = whyNoEngine();

describe.skipIf(reason !== undefined)(
  `jobs in containers${reason === undefined ? "" : ` (${reason})`}`,
  () => {
    let engine: PrivateEngine;
    let docker: Docker;
    let world: StreamWorld;

    beforeAll(async () => {
      engine = await openPrivateEngine();
      docker = new Docker({ socketPath: engine.socketPath });
      await buildJobImage(docker);
      world = await StreamWorld.open({
        types: {
          shell: JOB_IMAGE,
          tight: { image: JOB_IMAGE, memory: 32, cpus: 0.5, pids: 40, network: "none", user: "1234:1234" },
        },
      });
    }, 180_000);
    afterAll(async () => {
      await world[Symbol.asyncDispose]();
      await engine[Symbol.asyncDispose]();
    }, 180_000);

    const start = async (name: string, owner = freshName("jobs"), env = {}): Promise<Daemon> => {
      const shared = join(world.folder, "shared");
      await mkdir(shared, { recursive: true });
      // One folder by two names, as where the daemon is in a container of its own.
      const seen = join(world.folder, "seen-here");
      await symlink(shared, seen).catch(() => undefined);
      return await world.startHost(name, "", {
        stateDir: join(world.folder, `state-${owner}`),
        env: {
          HEARTH_DRIVER: "docker",
          HEARTH_DOCKER_OWNER: owner,
          HEARTH_DOCKER_NETWORK_RANGE: rangeOf(owner, 20),
          DOCKER_HOST: `unix://${engine.socketPath}`,
          SHARED_DIR_LOCAL: seen,
          SHARED_DIR_HOST: shared,
          ...env,
        },
      });
    };

    const jobContainers = async (): Promise<readonly { readonly id: string; readonly state: string }[]> => {
      const all = await docker.listContainers({ all: true });
      return all
        .filter(({ Labels, Image }) => Image === JOB_IMAGE || Object.values(Labels).includes("job"))
        .map(({ Id, State }) => ({ id: Id, state: State }));
    };

    test("I5, I6: a job's files go in and come back, through a folder that has two names", async () => {
      await using host = await start("plain");
      const id = await world.submit("test.copy", { files: { "in.txt": "hello" } });
      expect(await world.ending(id, 60_000)).toMatchObject({ json: { status: "success", host: "plain" } });
      expect(await world.output(id)).toMatchObject({
        "artifacts/out.txt": "hello",
        "artifacts/stdout.txt": "said\n",
      });
      await poll("its container is gone", async () => (await jobContainers()).length === 0 || "still there");
      const fails = await world.submit("test.exit", { files: { code: "137" } });
      expect(await world.ending(fails)).toMatchObject({
        json: { status: "failed", exit_code: 137, oom: false },
      });
      expect(host.child.exitCode).toBeNull();
    }, 240_000);

    test("I10, D16: what its type says is what its container gets", async () => {
      await using host = await start("tight");
      const id = await world.submit("test.sleep", { type: "tight", files: { seconds: "15" } });
      await poll(
        "its container runs",
        async () =>
          (await jobContainers()).some(({ state }) => state === "running") || host.log().slice(-800),
      );
      const [container] = await jobContainers();
      const { HostConfig, Config } = await docker.getContainer(container!.id).inspect();
      expect(HostConfig).toMatchObject({ Memory: 32 * 1024 * 1024, PidsLimit: 40 });
      expect(HostConfig.NanoCpus || ((HostConfig.CpuQuota ?? 0) / (HostConfig.CpuPeriod ?? 1)) * 1e9).toBe(
        5e8,
      );
      expect(Config.User).toBe("1234:1234");
      expect(Config.WorkingDir).toBe("/working_dir");
      expect(await world.ending(id)).toMatchObject({ json: { status: "success" } });
      expect(await world.output(id)).toMatchObject({ "artifacts/done.txt": "done\n" });
    }, 240_000);

    test("I12, D10: a job outlives a kill -9 of its daemon: it is adopted by the next life, and completed once", async () => {
      const owner = freshName("jobs");
      const first = await start("lives", owner);
      const id = await world.submit("test.sleep", { files: { seconds: "20" } });
      await poll(
        "it runs",
        async () =>
          (await jobContainers()).some(({ state }) => state === "running") || first.log().slice(-800),
      );
      const before = await jobContainers();
      await first.end("SIGKILL");
      await using second = await start("lives", owner);
      expect(await world.ending(id, 60_000)).toMatchObject({ json: { status: "success", attempt: 1 } });
      expect(second.log()).toContain("job.adopted");
      expect(before).toHaveLength(1);
      const types = (await world.eventsOf(id)).map(({ type }) => type);
      expect(types).toEqual(["TaskStarted", "TaskCompleted"]);
      expect(await world.output(id)).toMatchObject({ "artifacts/done.txt": "done\n" });
      await poll("its container is gone", async () => (await jobContainers()).length === 0 || "still there");
    }, 240_000);

    test("I12: one whose job ended while it was away learns how", async () => {
      const owner = freshName("jobs");
      const first = await start("late", owner);
      const id = await world.submit("test.late", { files: { seconds: "10" } });
      // One that is only made would never end by itself.
      await poll(
        "it runs",
        async () =>
          (await jobContainers()).some(({ state }) => state === "running") || first.log().slice(-800),
      );
      await first.end("SIGKILL");
      await poll("it has ended", async () => {
        const states = (await jobContainers()).map(({ state }) => state);
        return states.join() === "exited" || states.join();
      });
      await using second = await start("late", owner);
      expect(await world.ending(id, 60_000)).toMatchObject({
        json: { status: "failed", exit_code: 7, attempt: 1 },
      });
      expect((await world.eventsOf(id)).filter(({ type }) => type === "TaskCompleted")).toHaveLength(1);
      expect(second.child.exitCode).toBeNull();
    }, 240_000);

    test("I12: a job that was ended by a daemon which did not live to see that is begun anew, not failed", async () => {
      const owner = freshName("jobs");
      const first = await start("gone", owner, { HEARTH_DRAIN_TIMEOUT_S: "0" });
      const id = await world.submit("test.stubborn", { files: { seconds: "6" } });
      await poll("it runs", () => existsSync(join(world.folder, "shared", id, "begun")) || "not yet");
      const [container] = await jobContainers();
      first.child.kill("SIGTERM");
      await poll("it is being ended", async () => {
        const own = await readdir(join(world.folder, "shared", ".hearth"), { recursive: true });
        return own.some((name) => name.endsWith(`${id}@stopped-by-drain`)) || own.join();
      });
      await first.end("SIGKILL");
      // What it was asked for comes about while nobody looks.
      await docker
        .getContainer(container!.id)
        .kill()
        .catch(() => undefined); // it has ended
      await using second = await start("gone", owner);
      expect(await world.ending(id, 120_000)).toMatchObject({ json: { status: "success", attempt: 2 } });
      expect((await world.eventsOf(id)).map(({ type }) => type)).toEqual([
        "TaskStarted",
        "TaskStarted",
        "TaskCompleted",
      ]);
      expect(second.log()).toContain("its host stops");
    }, 240_000);

    test("I3: an image that is not here stops the start, with its type's name", async () => {
      const lacking = await StreamWorld.open({ types: { gromacs: "not-here:1" } });
      try {
        const host = await lacking.startHost("lacking", "", {
          waits: false,
          env: {
            HEARTH_DRIVER: "docker",
            DOCKER_HOST: `unix://${engine.socketPath}`,
            SHARED_DIR_LOCAL: lacking.folder,
            SHARED_DIR_HOST: lacking.folder,
          },
        });
        expect(await host.ended).toBe(2);
        expect(host.log()).toMatch(/^hearth: .*gromacs: .*not-here:1.*stream\.images_file/m);
      } finally {
        await lacking[Symbol.asyncDispose]();
      }
    }, 180_000);

    test("a folder that the engine does not see stops the start", async () => {
      const host = await world.startHost("blind", "", {
        waits: false,
        stateDir: join(world.folder, "blind"),
        env: {
          HEARTH_DRIVER: "docker",
          DOCKER_HOST: `unix://${engine.socketPath}`,
          SHARED_DIR_LOCAL: world.folder,
          SHARED_DIR_HOST: "/nowhere/at/all",
        },
      });
      expect(await host.ended).toBe(2);
      expect(host.log()).toMatch(/nowhere/);
    }, 180_000);
  },
);
