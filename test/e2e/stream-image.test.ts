import { existsSync } from "node:fs";
import { mkdir, readdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import Docker from "dockerode";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { freshName } from "../support/fresh-name.ts";
import { buildJobImage, JOB_IMAGE } from "../support/images.ts";
import { buildOwnImage } from "../support/own-image.ts";
import { poll } from "../support/poll.ts";
import type { PrivateEngine } from "../support/private-engine.ts";
import { openPrivateEngine, whyNoEngine } from "../support/private-engine.ts";
import { rangeOf } from "../support/range-of.ts";
import { outputOf, runProgram } from "../support/run-program.ts";
import { StreamWorld } from "../support/stream-world.ts";

const reason = whyNoEngine();

const IMAGE = "mecanywhere-executor";
const NETWORK = "hosts";
const SUBNET = "172.31.242.0/24";
/** This machine, as containers of that network see it. */
const GATEWAY = "172.31.242.1";
/** What the daemon calls the shared folder; on the engine's host it is below a test's own folder. */
const LOCAL = "/exec-tracker";

describe.skipIf(reason !== undefined)(
  `the stream door in a container${reason === undefined ? "" : ` (needs docker: ${reason})`}`,
  () => {
    let engine: PrivateEngine;
    let world: StreamWorld;
    let shared: string;
    let dockerHost: string;

    const docker = (...args: string[]) =>
      outputOf("docker", args, { env: { DOCKER_HOST: dockerHost }, timeoutMs: 60_000 });

    beforeAll(async () => {
      engine = await openPrivateEngine({ iptables: true });
      dockerHost = `unix://${engine.socketPath}`;
      await buildOwnImage(dockerHost, IMAGE);
      await buildJobImage(new Docker({ socketPath: engine.socketPath }));
      await docker("network", "create", `--subnet=${SUBNET}`, `--gateway=${GATEWAY}`, NETWORK);
      world = await StreamWorld.open({
        types: { shell: JOB_IMAGE },
        redisArgs: ["--bind", "127.0.0.1", GATEWAY, "--protected-mode", "no"],
      });
      shared = join(world.folder, "exec-tracker-of-the-host");
      await mkdir(shared);
    }, 240_000);
    afterAll(async () => {
      await engine[Symbol.asyncDispose]();
      await world[Symbol.asyncDispose]();
    }, 180_000);

    /** As docs/stream.md says to run it, with short times. */
    const wordsOf = (owner: string, sharedDirHost: string): string[] => {
      const variables = {
        EXECUTERS_CONFIG: "/app/images.json",
        HEARTH_STREAM_METHODS_FILE: "/app/methods.json",
        REDIS_HOSTNAME: "redis",
        REDIS_PORT: String(world.redis.port),
        SHARED_DIR_LOCAL: LOCAL,
        SHARED_DIR_HOST: sharedDirHost,
        GCE_METADATA_HOST: "none",
        HEARTH_STREAM_REGISTRATION: "none",
        HEARTH_STREAM_CPU: "0.1",
        HEARTH_STREAM_MEM: "64",
        HEARTH_STREAM_LEASE_S: "10",
        HEARTH_DOCKER_OWNER: owner,
        HEARTH_DOCKER_NETWORK_RANGE: rangeOf(owner, 24),
      };
      const mounts = [
        `${engine.socketPath}:/var/run/docker.sock`,
        `${join(world.folder, "images.json")}:/app/images.json:ro`,
        `${join(world.folder, "methods.json")}:/app/methods.json:ro`,
        `${world.store}:/mnt/artifacts`,
        `${shared}:${LOCAL}`,
        `state-of-${owner}:/var/lib/hearth`,
      ];
      return [
        ...[
          "--stop-timeout",
          "30",
          "--hostname",
          owner,
          `--net=${NETWORK}`,
          "--add-host",
          `redis:${GATEWAY}`,
        ],
        ...mounts.flatMap((mount) => ["-v", mount]),
        ...Object.entries(variables).flatMap(([name, value]) => ["-e", `${name}=${value}`]),
        IMAGE,
      ];
    };
    const startTracker = async (owner: string): Promise<AsyncDisposable & { readonly id: string }> => {
      const id = await docker("run", "-d", ...wordsOf(owner, shared));
      return {
        id,
        [Symbol.asyncDispose]: async () => {
          await docker("rm", "-f", "-v", id);
        },
      };
    };
    /** Work folders; the daemon's own notes on whose they are lie beside them. */
    const workFolders = async (): Promise<readonly string[]> =>
      (await readdir(shared)).filter((name) => !name.startsWith("."));
    const consumers = async (): Promise<readonly string[]> => {
      const rows = (await world.redis.ask(
        "XINFO",
        "CONSUMERS",
        "shell_requests",
        "all_consumers",
      )) as string[][];
      return rows.map((row) => `${row[1]} holds ${row[3]}`);
    };
    /** What it says when it cannot start. */
    const refusal = async (sharedDirHost: string): Promise<{ code: number; said: string }> => {
      const words = ["run", "--rm", ...wordsOf(freshName("wrong"), sharedDirHost)];
      const end = await runProgram("docker", words, { env: { DOCKER_HOST: dockerHost } });
      return { code: end.code, said: end.stdout + end.stderr };
    };
    /** The daemon's own words, where a wait was in vain. */
    const explained = async <T>(tracker: string, wait: Promise<T>): Promise<T> => {
      try {
        return await wait;
      } catch (cause) {
        throw new Error(`${String(cause)}\n${(await docker("logs", tracker)).slice(-4000)}`, { cause });
      }
    };
    /** The work folder of the one job that runs, as this machine names it. */
    const workFolder = async (tracker: string): Promise<string> => {
      let found = "";
      const begun = poll("a job has begun", async () => {
        const names = await workFolders();
        found =
          names.map((folder) => join(shared, folder)).find((path) => existsSync(join(path, "begun"))) ?? "";
        return found !== "" || names.join();
      });
      await explained(tracker, begun);
      return found;
    };
    const containersOf = (owner: string): Promise<string> =>
      docker(
        "ps",
        "-aq",
        "--no-trunc",
        "--filter",
        `ancestor=${JOB_IMAGE}`,
        "--filter",
        `label=hearth.owner=${owner}`,
      );

    test("I5: the daemon in a container, two names for the shared folder: the job sees its files, and they come back", async () => {
      const owner = freshName("tracker");
      await using host = await startTracker(owner);
      const tracker = host.id;
      const id = await world.submit("test.copy", { files: { "in.txt": "hello" } });
      const ending = await explained(tracker, world.ending(id, 60_000));
      expect(ending).toMatchObject({ type: "TaskCompleted", json: { status: "success", host: owner } });
      expect(await world.output(id)).toMatchObject({
        "output.json": "[1]\n",
        "artifacts/out.txt": "hello",
        "artifacts/stdout.txt": "said\n",
        "artifacts/stderr.txt": "cried\n",
      });

      const waiting = await world.submit("test.talk");
      const folder = await workFolder(tracker);
      const name = folder.slice(shared.length + 1);
      const [container = ""] = (await containersOf(owner)).split("\n");
      const mounts = JSON.parse(await docker("inspect", "-f", "{{json .Mounts}}", container)) as object[];
      expect(mounts).toContainEqual(
        expect.objectContaining({ Source: folder, Destination: "/working_dir", RW: true }),
      );
      // One folder, and each side has only its own name for it.
      expect(await docker("exec", tracker, "ls", `${LOCAL}/${name}`)).toContain("begun");
      const other = await runProgram("docker", ["exec", tracker, "ls", folder], {
        env: { DOCKER_HOST: dockerHost },
      });
      expect(other.code).not.toBe(0);
      expect(existsSync(LOCAL)).toBe(false);
      await docker("exec", tracker, "touch", `${LOCAL}/${name}/go`);
      expect(await explained(tracker, world.ending(waiting))).toMatchObject({ json: { status: "success" } });

      await poll("nothing is left of either", async () => {
        const left = [...(await workFolders()), await containersOf(owner)].filter((name) => name !== "");
        return left.length === 0 || left.join();
      });
      expect(await world.pending()).toBe(0);
      expect(await docker("logs", tracker)).not.toContain("receipts.failed");
      await docker("stop", tracker);
      expect(await docker("inspect", "-f", "{{.State.ExitCode}}", tracker)).toBe("0");
    }, 300_000);

    test.each(["started again", "replaced by another"])(
      "I12: its container is killed in mid-job and %s: the job is taken over and completed once",
      async (how) => {
        const owner = freshName("tracker");
        await using first = await startTracker(owner);
        const id = await world.submit("test.talk");
        const folder = await workFolder(first.id);
        await docker("kill", first.id);
        const before = await containersOf(owner);
        if (how === "started again") await docker("start", first.id);
        await using second = how === "started again" ? first : await startTracker(owner);
        await poll("the next life has taken it over", async () => {
          const log = await docker("logs", second.id);
          return log.includes('"job.adopted"') || log.slice(-3000);
        });
        expect(await containersOf(owner)).toBe(before);
        await writeFile(join(folder, "go"), "");
        expect(await explained(second.id, world.ending(id))).toMatchObject({
          json: { status: "success", attempt: 1 },
        });
        expect((await world.eventsOf(id)).map(({ type }) => type)).toEqual(["TaskStarted", "TaskCompleted"]);
        await docker("stop", second.id);
      },
      240_000,
    );

    test("I13: `docker stop` in mid-job hands it back before the container ends; the next one runs it", async () => {
      await using before = await startTracker(freshName("tracker"));
      const first = before.id;
      const id = await world.submit("test.talk");
      await workFolder(first);
      await docker("stop", first);
      expect(await docker("inspect", "-f", "{{.State.ExitCode}}", first)).toBe("3");
      expect([await workFolders(), await consumers()]).toEqual([[], ["hearth-released holds 1"]]);

      const owner = freshName("tracker");
      await using after = await startTracker(owner);
      const second = after.id;
      await writeFile(join(await workFolder(second), "go"), "");
      expect(await explained(second, world.ending(id))).toMatchObject({
        json: { status: "success", host: owner },
      });
      await docker("stop", second);
    }, 240_000);

    test("I5: a name that the engine's host does not have stops the start, which says both names", async () => {
      const { code, said } = await refusal("/nowhere/at/all");
      expect(code, said).toBe(2);
      expect(said).toMatch(/SHARED_DIR_HOST|shared_dir_host/);
      expect(said).toContain(LOCAL);
      expect(said).toContain("/nowhere/at/all");
    }, 180_000);

    test("I5: a name of another folder stops the start too, and nothing is left in either", async () => {
      const other = join(world.folder, "another");
      await mkdir(other);
      const { code, said } = await refusal(other);
      expect(code, said).toBe(2);
      expect(said).toMatch(/SHARED_DIR_HOST|shared_dir_host/);
      expect(said).toContain(other);
      expect([await readdir(other), await workFolders()]).toEqual([[], []]);
    }, 180_000);
  },
);
