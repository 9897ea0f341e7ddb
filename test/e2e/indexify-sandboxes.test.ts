import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { readFile, writeFile } from "node:fs/promises";
import { request } from "node:http";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import Docker from "dockerode";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { CommandResponse, ContainerState } from "../../src/gen/executor_api_pb.js";
import {
  ContainerStatus,
  ContainerTerminationReason,
  ContainerType,
  DataPayloadEncoding,
} from "../../src/gen/executor_api_pb.js";
import { freshName } from "../support/fresh-name.ts";
import { buildJobImage } from "../support/images.ts";
import { DoubleServer } from "../support/indexify/double-server.ts";
import { poll } from "../support/poll.ts";
import type { PrivateEngine } from "../support/private-engine.ts";
import { GVISOR, openPrivateEngine, whyNoEngine } from "../support/private-engine.ts";
import { rangeOf } from "../support/range-of.ts";
import { outputOf } from "../support/run-program.ts";
import type { Daemon } from "../support/start-daemon.ts";
import { startDaemon } from "../support/start-daemon.ts";

const SLOW_MS = 300_000;
const IMAGE = "hearth-test/sandbox:1";
const SERVES = "echo it is $WHO > /tmp/index.html; exec busybox httpd -f -p 3000 -h /tmp";
/** Waits until a test says that it was seen to run. */
const WAITS = "until [ -e /tmp/seen ]; do sleep 0.1; done";
const SLEEPS = "trap 'exit 0' TERM; while :; do sleep 0.1; done";

interface World extends AsyncDisposable {
  readonly server: DoubleServer;
  readonly daemon: Daemon;
  /** Answers of the daemon to commands, as `case:container[:reason]`. */
  readonly told: string[];
  readonly executorId: string;
  add(id: string, options?: SandboxOptions): void;
  ask(sandboxId: string, port?: number): Promise<string>;
}

interface SandboxOptions {
  readonly script?: string;
  readonly image?: string;
  readonly sandboxId?: string;
  readonly timeoutSecs?: bigint;
  readonly memoryBytes?: bigint;
  readonly networkPolicy?: { readonly allowInternetAccess?: boolean; readonly allowOut?: string[] };
}

function said({ response }: CommandResponse): string {
  switch (response.case) {
    case "containerStarted":
      return `started:${response.value.containerId}`;
    case "containerTerminated":
      return `terminated:${response.value.containerId}:${ContainerTerminationReason[response.value.reason]}`;
    case "snapshotFailed":
      return `snapshot-failed:${response.value.containerId}:${response.value.errorMessage}`;
    default:
      return response.case ?? "nothing";
  }
}

async function openWorld(env: Readonly<Record<string, string>>, config: string): Promise<World> {
  const told: string[] = [];
  const server = new DoubleServer({ onResponse: (_, response) => told.push(said(response)) });
  await server.start();
  const daemon = await startDaemon({
    config,
    env: { HEARTH_INDEXIFY_SERVER_ADDR: `http://${server.address}`, ...env },
  });
  await poll("it registers", () => server.executors.size === 1 || "not yet");
  const [executorId = ""] = server.executors.keys();
  const { proxyAddress = "" } = server.executor(executorId).state ?? {};
  return {
    ...{ server, daemon, told, executorId },
    add(
      id,
      {
        script = SERVES,
        image = IMAGE,
        sandboxId,
        timeoutSecs,
        memoryBytes = 64n << 20n,
        networkPolicy,
      } = {},
    ) {
      server.send(executorId, {
        case: "addContainer",
        value: {
          container: {
            id,
            containerType: ContainerType.SANDBOX,
            function: { namespace: "default", applicationName: "", functionName: "", applicationVersion: "" },
            resources: { cpuMsPerSec: 200, memoryBytes, diskBytes: 0n },
            secretNames: ["WHO", "NOT_LISTED"],
            sandboxMetadata: {
              image,
              entrypoint: ["sh", "-c", script],
              ...(sandboxId === undefined ? {} : { sandboxId }),
              ...(timeoutSecs === undefined ? {} : { timeoutSecs }),
              ...(networkPolicy === undefined ? {} : { networkPolicy }),
            },
          },
        },
      });
    },
    async ask(sandboxId, port = 3000) {
      const [host = "", proxyPort = ""] = proxyAddress.split(":");
      const headers = { "x-tensorlake-sandbox-id": sandboxId, "x-tensorlake-sandbox-port": String(port) };
      return await new Promise((resolve, reject) => {
        const asking = request({ host, port: proxyPort, path: "/index.html", headers, agent: false });
        asking.once("error", reject);
        asking.once("response", (answer) => {
          text(answer).then((body) => resolve(`${answer.statusCode} ${body}`), reject);
        });
        asking.end();
      });
    },
    async [Symbol.asyncDispose]() {
      await daemon[Symbol.asyncDispose]();
      await server[Symbol.asyncDispose]();
    },
  };
}

const heard = async ({ told, daemon }: World, word: string): Promise<void> => {
  await poll(
    `the server hears ${word}`,
    () => told.includes(word) || `${told.join()} ${daemon.log().slice(-600)}`,
    60_000,
  );
};

const reason = whyNoEngine();

describe.skipIf(reason !== undefined)(reason ?? "sandboxes of an Indexify server", () => {
  let engine: PrivateEngine;
  let docker: Docker;
  let world: World;

  beforeAll(async () => {
    engine = await openPrivateEngine();
    docker = new Docker({ socketPath: engine.socketPath });
    await buildJobImage(docker, IMAGE);
    world = await openWorld(
      {
        HEARTH_DOCKER_NETWORK_RANGE: rangeOf(freshName("indexify-sandboxes"), 24),
        HEARTH_DOCKER_NETWORKS_AHEAD: "1",
        HEARTH_INDEXIFY_SECRETS: "WHO",
        HEARTH_INDEXIFY_IMAGE: IMAGE,
        HEARTH_INDEXIFY_FUNCTION_EXECUTOR: "no-such-program",
        HEARTH_IMAGES_DENY: "hearth-test/forbidden*",
        WHO: "me",
        NOT_LISTED: "secret",
      },
      `driver: docker\ndocker: { host: ${JSON.stringify(`unix://${engine.socketPath}`)} }\n`,
    );
  }, SLOW_MS);
  afterAll(async () => {
    await world[Symbol.asyncDispose]();
    await engine[Symbol.asyncDispose]();
  });

  const containers = async (id: string): Promise<readonly Docker.ContainerInfo[]> =>
    await docker.listContainers({ all: true, filters: { label: [`container_id=${id}`] } });

  test(
    "X: one is started in its own container on the books, reached by its user's name for it alone, and removed",
    async () => {
      world.add("s1", { sandboxId: "user-1" });
      await heard(world, "started:s1");
      await poll("it serves", async () => {
        const answer = await world.ask("user-1");
        return answer === "200 it is me\n" || answer;
      });
      expect(await world.ask("s1")).toContain("SANDBOX_NOT_FOUND");
      expect(await world.ask("user-1", 3001)).toMatch(/^502 .*CONNECTION_REFUSED/);
      const [row] = await containers("s1");
      expect(row?.Labels).toMatchObject({ sandbox_id: "user-1", namespace: "default" });
      const { Config, HostConfig } = await docker.getContainer(row?.Id ?? "").inspect();
      expect(Config.Env.filter((entry) => /^(WHO|NOT_LISTED|HEARTH|INDEXIFY)/.test(entry))).toEqual([
        "WHO=me",
      ]);
      expect([HostConfig.Memory, HostConfig.Binds, HostConfig.Mounts ?? []]).toEqual([64 << 20, null, []]);
      expect(await world.daemon.cli("ps")).toContain("s1");
      const shown = async (state: string): Promise<string> =>
        await (await fetch(`${world.daemon.monitorUrl}/state/${state}`)).text();
      expect(await shown("desired")).toContain(`container id=s1 function=sandbox:${IMAGE}\n`);
      await poll("it is told", async () => {
        const text = await shown("reported");
        return text.includes(`container id=s1 function=sandbox:${IMAGE} state=running\n`) || text;
      });
      world.server.send(world.executorId, { case: "removeContainer", value: { containerId: "s1" } });
      await heard(world, "terminated:s1:FUNCTION_CANCELLED");
      for (const state of ["desired", "reported"])
        expect(await shown(state)).not.toContain("container id=s1");
      expect(await world.ask("user-1")).toContain("SANDBOX_NOT_FOUND");
      expect(await containers("s1")).toEqual([]);
    },
    SLOW_MS,
  );

  test(
    "a warm one of a pool is nobody's until it is given to a user; its time begins then, and ends it",
    async () => {
      world.add("pool-1", { script: SLEEPS });
      await heard(world, "started:pool-1");
      const before = world.told.length;
      world.server.send(world.executorId, {
        case: "updateContainerDescription",
        value: { containerId: "pool-1", sandboxMetadata: { sandboxId: "user-2", timeoutSecs: 1n } },
      });
      await poll("it is told again", () => world.told.slice(before).includes("started:pool-1") || "not yet");
      await heard(world, "terminated:pool-1:FUNCTION_TIMEOUT");
      expect(await containers("pool-1")).toEqual([]);
    },
    SLOW_MS,
  );

  test(
    "ends that were not asked for, and starts that cannot be, each give their own reason",
    async () => {
      world.add("dies", { script: `${WAITS}; exit 3` });
      world.add("eats", { script: `${WAITS}; busybox tail /dev/zero; exit 137` });
      world.add("none", { image: "hearth-test/forbidden:1" });
      world.add("lost", { image: "127.0.0.1:1/nobody/nothing:1" });
      world.add("strict", { networkPolicy: { allowOut: ["10.0.0.1"] } });
      world.add("short", { script: "exit 0" });
      for (const id of ["dies", "eats"]) {
        await heard(world, `started:${id}`);
        const [row] = await containers(id);
        await outputOf("docker", ["exec", row?.Id ?? "", "touch", "/tmp/seen"], {
          env: { DOCKER_HOST: `unix://${engine.socketPath}` },
        });
      }
      await heard(world, "terminated:none:STARTUP_FAILED_BAD_IMAGE");
      await heard(world, "terminated:strict:STARTUP_FAILED_INTERNAL_ERROR");
      await heard(world, "terminated:dies:PROCESS_CRASH");
      await heard(world, "terminated:eats:OOM");
      await poll(
        "the missing image is told",
        () => world.told.some((word) => word.startsWith("terminated:lost:STARTUP_FAILED")) || "not yet",
      );
      await poll(
        "the short one is told",
        () => world.told.some((word) => word.startsWith("terminated:short:")) || "not yet",
      );
      expect(world.told).not.toContain("started:none");
    },
    SLOW_MS,
  );

  test(
    "a function whose image lacks the worker's program has a bad image: the server does not try it again",
    async () => {
      // The code itself is there, so that nothing but the image is at fault.
      const zip = join(world.daemon.stateDir, "code.zip");
      await writeFile(zip, "code");
      const sha256Hash = createHash("sha256").update("code").digest("hex");
      const code = { uri: `file://${zip}`, encoding: DataPayloadEncoding.BINARY_ZIP, encodingVersion: 0n };
      world.server.send(world.executorId, {
        case: "addContainer",
        value: {
          container: {
            id: "function-1",
            containerType: ContainerType.FUNCTION,
            function: { namespace: "n", applicationName: "a", functionName: "f", applicationVersion: "v" },
            application: { ...code, size: 4n, sha256Hash },
            ...{ initializationTimeoutMs: 60_000, allocationTimeoutMs: 60_000, maxConcurrency: 1 },
            resources: { cpuMsPerSec: 200, memoryBytes: 64n << 20n, diskBytes: 0n },
          },
        },
      });
      await heard(world, "terminated:function-1:STARTUP_FAILED_BAD_IMAGE");
      expect(await containers("function-1")).toEqual([]);
    },
    SLOW_MS,
  );

  test(
    "snapshots are refused in words that the server knows, and an unknown description changes nothing",
    async () => {
      world.add("s2", { script: SLEEPS, sandboxId: "user-3" });
      await heard(world, "started:s2");
      for (const containerId of ["s2", "nobody"]) {
        const value = { containerId, snapshotId: "snap", uploadUri: "file:///tmp/none" };
        world.server.send(world.executorId, { case: "snapshotContainer", value });
      }
      world.server.send(world.executorId, {
        case: "updateContainerDescription",
        value: { containerId: "nobody", sandboxMetadata: { sandboxId: "x" } },
      });
      await heard(world, "snapshot-failed:s2:snapshots not configured on this dataplane");
      await heard(world, "snapshot-failed:nobody:container not found");
      expect(world.told.filter((word) => word.endsWith(":nobody"))).toEqual([]);
    },
    SLOW_MS,
  );

  test(
    "a server without memory is told of a sandbox word for word, and wants it again without a second one",
    async () => {
      world.server.stop(false);
      await world.server.start();
      const known = (): ContainerState | undefined =>
        world.server.executors
          .get(world.executorId)
          ?.state?.containerStates.find(({ description }) => description?.id === "s2");
      await poll("it registers again", () => known() !== undefined || "not yet", 60_000);
      expect(known()).toMatchObject({
        status: ContainerStatus.RUNNING,
        description: {
          sandboxMetadata: { image: IMAGE, sandboxId: "user-3" },
          secretNames: ["WHO", "NOT_LISTED"],
        },
      });
      world.add("s2", { script: SLEEPS, sandboxId: "user-3" });
      world.add("s3", { script: SLEEPS });
      await heard(world, "started:s3");
      expect(await containers("s2")).toHaveLength(1);
      expect(world.server.violations).toEqual([]);
      expect(await world.daemon.end("SIGTERM")).toBe(0);
      expect([...(await containers("s2")), ...(await containers("s3"))]).toEqual([]);
    },
    SLOW_MS,
  );
});

test(
  "on plain processes a sandbox is refused, so that the server looks for another host; the proxy listens all the same",
  async () => {
    await using world = await openWorld({}, "driver: process\n");
    expect(world.server.executor(world.executorId).state?.proxyAddress).toBeUndefined();
    world.add("s1", { sandboxId: "user-1" });
    await heard(world, "terminated:s1:STARTUP_FAILED_INTERNAL_ERROR");
    expect(world.told).toEqual(["terminated:s1:STARTUP_FAILED_INTERNAL_ERROR"]);
  },
  SLOW_MS,
);

const noGvisor = reason ?? (existsSync(GVISOR.path) ? undefined : "runsc is not installed");

// Without KVM and cgroups, as here, it enforces no limits: the class is used with its operator's consent.
test.skipIf(noGvisor !== undefined)(
  `a sandbox runs in the class that indexify.isolation names, and is reached there${noGvisor === undefined ? "" : ` (${noGvisor})`}`,
  async () => {
    await using engine = await openPrivateEngine({ runtimes: { runsc: GVISOR } });
    await buildJobImage(new Docker({ socketPath: engine.socketPath }), IMAGE);
    await using world = await openWorld(
      {
        HEARTH_DOCKER_NETWORK_RANGE: rangeOf(freshName("indexify-gvisor"), 24),
        HEARTH_DOCKER_NETWORKS_AHEAD: "1",
        HEARTH_INDEXIFY_ISOLATION: "gvisor",
      },
      `driver: docker\ndocker: { host: ${JSON.stringify(`unix://${engine.socketPath}`)} }\n` +
        "runtimes:\n  - { name: runsc, isolation: gvisor, limits: optional }\n",
    );
    const script = "cat /proc/version > /tmp/index.html; exec busybox httpd -f -p 3000 -h /tmp";
    world.add("g1", { sandboxId: "user-1", script });
    await heard(world, "started:g1");
    await poll("it serves", async () => {
      const answer = await world.ask("user-1");
      return answer.startsWith("200 Linux version") || answer;
    });
    expect(await world.ask("user-1")).not.toContain((await readFile("/proc/version", "utf8")).trim());
  },
  SLOW_MS,
);
