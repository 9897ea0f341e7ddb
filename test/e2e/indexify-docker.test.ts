import { existsSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { ContainerTerminationReason } from "../../src/gen/executor_api_pb.js";
import { freshName } from "../support/fresh-name.ts";
import { buildJobImage } from "../support/images.ts";
import type { DaemonWorld } from "../support/indexify/daemon-world.ts";
import { openDaemonWorld } from "../support/indexify/daemon-world.ts";
import { bindsOfHost } from "../support/indexify/host-binds.ts";
import { reasonOf, valueOf } from "../support/indexify/request-end.ts";
import { tensorlakeOrThrow } from "../support/indexify/tensorlake.ts";
import type { TestHost } from "../support/open-test-host.ts";
import { openTestHost } from "../support/open-test-host.ts";
import { poll } from "../support/poll.ts";
import { whyNoEngine } from "../support/private-engine.ts";
import { rangeOf } from "../support/range-of.ts";

const SLOW_MS = 480_000;
const IMAGE = "hearth-test/functions:1";
const reason = existsSync("/usr/bin/python3") ? whyNoEngine() : "this host has no Python";

describe.skipIf(reason !== undefined)(
  `the whole daemon on Docker, with the real worker${reason === undefined ? "" : ` (${reason})`}`,
  () => {
    const owner = freshName("owner");
    let host: TestHost;
    let world: DaemonWorld;

    beforeAll(async () => {
      const tensorlake = await tensorlakeOrThrow();
      host = await openTestHost();
      await buildJobImage(host.docker, IMAGE);
      world = await openDaemonWorld({
        driver: "docker",
        env: (blobs) => ({
          DOCKER_HOST: `unix://${host.engine.socketPath}`,
          HEARTH_DOCKER_OWNER: owner,
          HEARTH_DOCKER_NETWORK_RANGE: rangeOf(owner, 20),
          HEARTH_INDEXIFY_IMAGE: IMAGE,
          HEARTH_INDEXIFY_BINDS: bindsOfHost(tensorlake, blobs)
            .map(({ source, target, isReadOnly }) => `${source}:${target}${isReadOnly ? ":ro" : ""}`)
            .join(),
        }),
      });
    }, 400_000);
    afterAll(async () => {
      await world[Symbol.asyncDispose]();
      await host[Symbol.asyncDispose]();
    });

    const containers = async (): Promise<readonly string[]> =>
      (await host.containers({ owner }, "any"))
        .filter(({ name }) => name.startsWith("indexify-function-"))
        .map(({ id }) => id);

    /** The last end of a container that the server was told, once its room is free. */
    async function endOf(name: string): Promise<string> {
      const { scheduler, daemon } = world;
      const found = () =>
        scheduler.terminated.findLast(({ containerId }) => containerId.startsWith(`container-${name}-`));
      await poll("the server is told", () => found() !== undefined || "not yet");
      const { containerId, reason: code } = found()!;
      await poll("its room is free", async () => {
        const listed = await daemon.cli("ps");
        return !listed.includes(containerId) || listed;
      });
      return ContainerTerminationReason[code] ?? String(code);
    }

    test(
      "X10: a function runs in a container; a crash, a timeout and a memory kill have their own reasons and free the room",
      async () => {
        const { scheduler } = world;
        expect(await valueOf(await world.call("hello", "docker"))).toBe("hello docker");
        expect(await containers()).toHaveLength(1);
        expect(reasonOf(await world.call("crashes", ""))).toBe("FUNCTION_ERROR");
        expect(await endOf("crashes")).toBe("PROCESS_CRASH");
        expect(reasonOf(await world.call("eats", 1024))).toBe("OOM");
        expect(await endOf("eats")).toBe("OOM");
        scheduler.deploy({ allocationTimeoutMs: 2_000 });
        expect(reasonOf(await world.call("sleeps", 60))).toBe("FUNCTION_TIMEOUT");
        expect(await endOf("sleeps")).toBe("FUNCTION_TIMEOUT");
        expect(await containers()).toHaveLength(1);
        expect(scheduler.server.violations).toEqual([]);
      },
      SLOW_MS,
    );

    test(
      "X10: the daemon killed, its next life removes the containers that it left, and does what was under way",
      async () => {
        world.scheduler.deploy({ allocationTimeoutMs: 60_000 });
        const counted = world.call("counts", [join(world.blobs, "twice"), 4]);
        await world.untilCounts("twice");
        const left = await containers();
        expect(left.length).toBeGreaterThan(0);
        await world.daemon.end("SIGKILL");
        await world.startAgain();
        expect(await valueOf(await counted)).toBe(2);
        await poll("they are gone", async () => {
          const now = await containers();
          return !left.some((id) => now.includes(id)) || now.join();
        });
        expect(await world.daemon.end("SIGTERM")).toBe(0);
        expect(await containers()).toEqual([]);
      },
      SLOW_MS,
    );
  },
);
