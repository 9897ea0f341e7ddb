import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import Docker from "dockerode";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import type { Log, NetworkPolicy, Sandbox } from "../../src/core/index.ts";
import { DEFAULT_NETWORK_SETTINGS } from "../../src/core/index.ts";
import type { DockerDriverOptions } from "../../src/drivers/docker/index.ts";
import { postOverHttp } from "../conformance/sandbox-driver/harness.ts";
import type { DockerWorld } from "../support/docker-world.ts";
import { never, openDockerWorld, startTask } from "../support/docker-world.ts";
import { buildTaskImage } from "../support/images.ts";
import { poll } from "../support/poll.ts";
import type { PrivateEngine } from "../support/private-engine.ts";
import { openPrivateEngine, whyNoEngine } from "../support/private-engine.ts";

const reason = whyNoEngine();
const MAIN = "exec nc -ll -p 8080 -e /handler";

describe.skipIf(reason !== undefined)(reason ?? "the networks of the docker driver", () => {
  let engine: PrivateEngine;
  let docker: Docker;
  let images: readonly [string, string];
  let silent: string;
  let world: DockerWorld;

  beforeAll(async () => {
    engine = await openPrivateEngine();
    docker = new Docker({ socketPath: engine.socketPath });
    images = [
      await buildTaskImage(docker, "first", { main: `echo meca-init-done; ${MAIN}` }),
      await buildTaskImage(docker, "second", { main: `echo second; echo meca-init-done; ${MAIN}` }),
    ];
    silent = await buildTaskImage(docker, "silent", { main: "echo meca-init-done; exec sleep 100" });
  }, 240_000);
  afterAll(async () => {
    await engine[Symbol.asyncDispose]();
  });
  beforeEach(() => {
    world = openDockerWorld(engine.socketPath);
  });
  afterEach(async () => {
    await world[Symbol.asyncDispose]();
    expect(await world.remains()).toEqual([]);
  });

  const spares = async (): Promise<readonly string[]> =>
    (await docker.listContainers({ filters: { label: [`hearth.owner=${world.ownerId}`] } }))
      .map((row) => row.Names[0] ?? "")
      .filter((name) => name.startsWith("/hearth_net_"));
  const untilSpares = (count: number): Promise<void> =>
    poll("network sandboxes are ready", async () => {
      const now = (await spares()).length;
      return now === count ? true : `${now} of ${count}`;
    });
  const answers = async (sandbox: Sandbox): Promise<void> => {
    expect(await postOverHttp(sandbox, "x")).toEqual({ status: 200, body: "x" });
  };

  test("ten starts at once, more than are ready, get ten networks and all answer", async () => {
    const driver = await world.open({ networksAhead: 3 });
    await untilSpares(3);
    const sandboxes = await Promise.all(Array.from({ length: 10 }, () => startTask(driver, images[0])));
    expect(new Set(sandboxes.map(({ endpoint }) => endpoint.host)).size).toBe(10);
    for (const sandbox of sandboxes) await answers(sandbox);
    await Promise.all(sandboxes.map((sandbox) => sandbox.stop(0)));
  });

  test("a start takes what is ready, and the pool fills again when it is over", async () => {
    const driver = await world.open({ networksAhead: 1 });
    await untilSpares(1);
    const [spare] = await spares();
    const sandbox = await startTask(driver, images[0]);
    const joined = await docker.getContainer(sandbox.label).inspect();
    const owner = await docker.getContainer((spare ?? "").slice(1)).inspect();
    expect(joined.HostConfig.NetworkMode).toBe(`container:${owner.Id}`);
    await untilSpares(2);
    await sandbox.stop(0);
  });

  test("a network sandbox serves the same image again and no other", async () => {
    const driver = await world.open({ networksAhead: 2 });
    await untilSpares(2);
    const first = await startTask(driver, images[0]);
    await first.stop(0);
    const second = await startTask(driver, images[1]);
    expect(second.endpoint.host).not.toBe(first.endpoint.host);
    const again = await startTask(driver, images[0]);
    expect(again.endpoint.host).toBe(first.endpoint.host);
    await answers(again);
    for (const sandbox of [second, again]) await sandbox.stop(0);
  });

  test("networks of others in the range are stepped around", async () => {
    const foreign = await docker.createNetwork({
      Name: "foreign",
      IPAM: { Driver: "default", Config: [{ Subnet: "10.210.0.0/25" }] },
    });
    const driver = await world.open({ networksAhead: 0, networkRange: "10.210.0.0/24" });
    const sandboxes = await Promise.all([1, 2, 3].map(() => startTask(driver, images[0])));
    for (const { endpoint } of sandboxes) expect(Number(endpoint.host.split(".")[3])).toBeGreaterThan(127);
    await Promise.all(sandboxes.map((sandbox) => sandbox.stop(0)));
    await foreign.remove();
  });

  test("two owners who cut from one range at the same time do not meet", async () => {
    await using other = openDockerWorld(engine.socketPath);
    const options = { networksAhead: 3, networkRange: "10.210.1.0/25" };
    const drivers = await Promise.all([world.open(options), other.open(options)]);
    const sandboxes = await Promise.all(
      drivers.flatMap((driver) => [1, 2, 3].map(() => startTask(driver, images[0]))),
    );
    expect(new Set(sandboxes.map(({ endpoint }) => endpoint.host)).size).toBe(6);
    for (const sandbox of sandboxes) await answers(sandbox);
    await Promise.all(sandboxes.map((sandbox) => sandbox.stop(0)));
  });

  test("C11: a range that is used up is told as such, at once, and serves again afterwards", async () => {
    const driver = await world.open({ networksAhead: 0, networkRange: "10.210.2.0/29" });
    // The driver may hold the only network for a moment itself, as one made ahead.
    const started: Sandbox[] = [];
    const start = async (): Promise<true | string> => {
      try {
        started.push(await startTask(driver, images[0]));
        return true;
      } catch (error) {
        return String(error);
      }
    };
    await poll("the only network is free", start);
    await expect(startTask(driver, images[0])).rejects.toMatchObject({
      code: "ENGINE_FAILED",
      message: expect.stringContaining("10.210.2.0/29") as string,
    });
    await started[0]?.stop(0);
    await poll("the only network is free again", start);
    for (const sandbox of started.slice(1)) {
      await answers(sandbox);
      await sandbox.stop(0);
    }
  });

  describe("where container addresses are not routable", () => {
    test.each([0, 1])("tasks answer at a published loopback port (%i made ahead)", async (networksAhead) => {
      const driver = await world.open({ reach: "published", networksAhead });
      await untilSpares(networksAhead);
      const [one, two] = await Promise.all([startTask(driver, images[0]), startTask(driver, images[1])]);
      for (const sandbox of [one, two]) {
        expect(sandbox.endpoint.host).toBe("127.0.0.1");
        await answers(sandbox);
      }
      expect(one.endpoint.port).not.toBe(two.endpoint.port);
      for (const sandbox of [one, two]) await sandbox.stop(0);
    });

    test("M27: that the engine's proxy accepts does not make a task ready", async () => {
      const driver = await world.open({ reach: "published", networksAhead: 1 });
      await untilSpares(1);
      await expect(startTask(driver, silent, { startTimeoutMs: 1500 })).rejects.toMatchObject({
        code: "START_TIMEOUT",
      });
    });
  });

  describe("a daemon in a container", () => {
    let inside: PrivateEngine;
    let own: Docker;
    let image: string;
    let home: Docker.Container;
    let pid: string;

    beforeAll(async () => {
      // With its rules: without them a host that forwards nothing also keeps apart what is on one bridge.
      inside = await openPrivateEngine({ iptables: true });
      own = new Docker({ socketPath: inside.socketPath });
      image = await buildTaskImage(own, "first", { main: `echo meca-init-done; ${MAIN}` });
      await own.createNetwork({
        Name: "mecanywhere",
        IPAM: { Driver: "default", Config: [{ Subnet: "10.210.8.0/24" }] },
      });
      home = await own.createContainer({
        Image: image,
        HostConfig: { NetworkMode: "mecanywhere" },
        NetworkingConfig: {
          EndpointsConfig: { mecanywhere: { IPAMConfig: { IPv4Address: "10.210.8.77" } } },
        },
      });
      await home.start();
      pid = String((await home.inspect()).State.Pid);
    });
    afterAll(async () => {
      await inside[Symbol.asyncDispose]();
    });

    const optionsOf = (policy: NetworkPolicy): DockerDriverOptions => ({
      socketPath: inside.socketPath,
      ownerId: world.ownerId,
      instanceId: "member",
      networksAhead: 1,
      // In a container it can set no rules on the host, so that egress takes the operator's consent.
      network: { ...DEFAULT_NETWORK_SETTINGS, default: policy, unfiltered: true },
    });
    const enter = (): readonly string[] => ["nsenter", "-t", pid, "-n", "-u"];
    const networksOfHome = async (): Promise<readonly string[]> =>
      Object.keys((await home.inspect()).NetworkSettings.Networks);
    const defaultRoute = async (): Promise<string | undefined> =>
      (await readFile(`/proc/${pid}/net/route`, "utf8"))
        .split("\n")
        .find((line) => line.split("\t")[1] === "00000000");

    test("joins each task network, reaches its tasks, and leaves them all at its end", async () => {
      const { code, output } = await live(optionsOf("internal"), image, enter());
      expect(code).toBe(0);
      expect(output.answers).toEqual([{ status: 200, body: "hello" }]);
      // No task was ever on the control network, and every other one is gone.
      expect(await networksOfHome()).toEqual(["mecanywhere"]);
    }, 240_000);

    test("removes what an earlier life left, also when its container is in none of those networks", async () => {
      const { child } = await live(optionsOf("internal"), image, enter(), 1);
      child.kill("SIGKILL");
      await once(child, "exit");
      const filters = { label: [`hearth.owner=${world.ownerId}`] };
      for (const { Id } of await own.listContainers({ all: true, filters }))
        await own.getContainer(Id).remove({ force: true });
      const left = await own.listNetworks({ filters: JSON.stringify(filters) });
      expect(left.length).toBeGreaterThan(0);
      // As a container that was made anew: the one that joined them is gone.
      const joined = await networksOfHome();
      for (const { Id, Name } of left)
        if (joined.includes(Name)) await own.getNetwork(Id).disconnect({ Container: home.id });
      await live({ ...optionsOf("internal"), instanceId: "next" }, image, enter());
      const names = (await own.listNetworks()).map(({ Name }) => Name);
      expect(left.filter(({ Name }) => names.includes(Name))).toEqual([]);
    }, 240_000);

    test("keeps its own way out when its tasks have one too", async () => {
      const before = await defaultRoute();
      const { child, output } = await live(optionsOf("egress"), image, enter(), 1);
      expect(output.answers).toEqual([{ status: 200, body: "hello" }]);
      expect((await networksOfHome()).length).toBeGreaterThan(1);
      expect(await defaultRoute()).toBe(before);
      child.kill("SIGKILL");
      await once(child, "exit");
    }, 240_000);
  });

  test("M29: what a killed life left is found by the next one: tasks are handed out, networks and spares are swept", async () => {
    const bystander = await docker.createContainer({ Image: silent, name: "bystander" });
    await bystander.start();
    const options = {
      socketPath: engine.socketPath,
      ownerId: world.ownerId,
      instanceId: "killed",
      networksAhead: 2,
    };
    const { output, child } = await live(options, images[0], [], 2);
    child.kill("SIGKILL");
    await once(child, "exit");
    const created = await docker.createContainer({
      Image: silent,
      name: "mecanywhere_half_made",
      Labels: { "hearth.owner": world.ownerId, "hearth.instance": "killed", "hearth.kind": "sandbox" },
    });
    const failures: unknown[] = [];
    const log: Log = { log: (_, event, fields) => event === "network.failed" && failures.push(fields) };
    const next = await world.open({ networksAhead: 0, log });
    const found = await next.leftovers(never());
    expect(found).toHaveLength(2);
    const [adopted, reaped] = found;
    const sandbox = await adopted?.adopt(never());
    await reaped?.reap(never());
    if (sandbox === undefined) throw new Error("nothing was found");
    await answers(sandbox);
    expect(output.labels).toContain(sandbox.label);
    // Left are the adopted one, its network with its sleeping container, and what the new life keeps for itself.
    await poll("the rest is swept", async () => {
      const left = await docker.listContainers({
        all: true,
        filters: { label: [`hearth.owner=${world.ownerId}`] },
      });
      const names = left.map((row) => row.Names[0] ?? "");
      return left.length === 2 ? true : names.join();
    });
    await expect(created.inspect()).rejects.toMatchObject({ statusCode: 404 });
    expect((await bystander.inspect()).State.Running).toBe(true);
    // What was taken over is no leftover any more, and its network least of all.
    expect(await next.leftovers(never())).toEqual([]);
    await sandbox.stop(0);
    await next[Symbol.asyncDispose]();
    expect(failures).toEqual([]);
    await bystander.remove({ force: true });
  }, 240_000);

  /** A life in a process of its own; resolves once its tasks have answered. Short unless tasks are asked for. */
  async function live(driver: DockerDriverOptions, image: string, wrapper: readonly string[], tasks = 0) {
    const script = fileURLToPath(new URL("../support/driver-life.ts", import.meta.url));
    const life = { driver, image, tasks: Math.max(1, tasks), isShort: tasks === 0 };
    const node = [process.execPath, "--import", "tsx", script, JSON.stringify(life)];
    const command = [...wrapper, ...node];
    const child = spawn(command[0] ?? "", command.slice(1), { stdio: ["ignore", "pipe", "inherit"] });
    let text = "";
    child.stdout.on("data", (chunk: Buffer) => {
      text += chunk.toString();
    });
    const exited = once(child, "exit");
    await poll(
      "the life has answered",
      () => text.endsWith("\n") || child.exitCode !== null || "nothing yet",
      120_000,
    );
    const code: unknown = tasks === 0 ? (await exited)[0] : undefined;
    return { child, code, output: JSON.parse(text) as { labels: string[]; answers: unknown[] } };
  }
});
