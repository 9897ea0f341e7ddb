import { existsSync } from "node:fs";
import { chmod, mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import Docker from "dockerode";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { SandboxDriver } from "../../src/core/index.ts";
import { NO_RESOURCES } from "../../src/core/index.ts";
import { launchWorker } from "../../src/doors/indexify/worker/launch-worker.ts";
import type { Executor } from "../../src/engine/executor.ts";
import { AllocationFailureReason, ContainerTerminationReason } from "../../src/gen/executor_api_pb.js";
import { systemClock } from "../../src/std/index.ts";
import type { SandboxDriverHarness } from "../conformance/sandbox-driver/harness.ts";
import { openDockerHarness } from "../support/docker-harness.ts";
import { buildJobImage } from "../support/images.ts";
import type { RequestEnd } from "../support/indexify/double-scheduler.ts";
import { DoubleScheduler, storedJson } from "../support/indexify/double-scheduler.ts";
import { startDriverExecutor } from "../support/indexify/driver-executor.ts";
import { bindsOfHost } from "../support/indexify/host-binds.ts";
import { valueOf } from "../support/indexify/request-end.ts";
import type { Tensorlake } from "../support/indexify/tensorlake.ts";
import { openTensorlake } from "../support/indexify/tensorlake.ts";
import { startTestExecutor } from "../support/indexify/test-executor.ts";
import { poll } from "../support/poll.ts";
import type { PrivateEngine } from "../support/private-engine.ts";
import { openPrivateEngine, whyNoEngine } from "../support/private-engine.ts";
import { openProcessHarness } from "../support/process-harness.ts";

const SLOW_MS = 240_000;
const noPython = existsSync("/usr/bin/python3") ? undefined : "this host has no Python";

let tensorlake: Tensorlake;
let folder = "";

beforeAll(async () => {
  if (noPython !== undefined) return;
  const installed = await openTensorlake();
  if (typeof installed === "string") throw new Error(installed);
  tensorlake = installed;
  folder = await mkdtemp(join(tmpdir(), "hearth-indexify-"));
  await chmod(folder, 0o755);
}, 400_000);
afterAll(async () => {
  if (folder !== "") await rm(folder, { recursive: true, force: true });
});

interface World extends AsyncDisposable {
  readonly scheduler: DoubleScheduler;
  readonly executor: Executor;
  call(name: string, input: unknown): Promise<RequestEnd>;
}

async function openWorld(driver: SandboxDriver, image: string): Promise<World> {
  const place = await mkdtemp(join(folder, "world-"));
  const blobs = join(place, "blobs");
  await mkdir(blobs);
  const memoryBytes = 256n * 1024n * 1024n;
  const scheduler = new DoubleScheduler({ zipPath: tensorlake.appZip, blobFolder: blobs, memoryBytes });
  await scheduler.server.start();
  const executor = await startDriverExecutor(driver);
  const launching = {
    workers: executor.jobs.workers,
    executorId: "executor-1",
    program: tensorlake.functionExecutor,
    image,
    binds: driver.workersNeedImage ? bindsOfHost(tensorlake, blobs) : [],
    network: "default",
    isolation: "default",
    secretNames: [],
    environment: process.env,
    clock: systemClock,
  } as const;
  const door = startTestExecutor({
    serverAddress: scheduler.server.address,
    functionExecutor: tensorlake.functionExecutor,
    cacheFolder: join(place, "cache"),
    launch: (order, signal) => launchWorker(launching, order, signal),
  });
  await poll("the executor registers", () => door.link.state.type === "ready" || "not yet");
  let inputs = 0;
  return {
    scheduler,
    executor,
    call: async (name, input) => {
      inputs += 1;
      const json = JSON.stringify(input);
      const path = join(blobs, `input-${inputs}.json`);
      await writeFile(path, json);
      return await scheduler.request(name, storedJson(`file://${path}`, json));
    },
    async [Symbol.asyncDispose]() {
      await door[Symbol.asyncDispose]();
      await executor[Symbol.asyncDispose]();
      await scheduler.server[Symbol.asyncDispose]();
    },
  };
}

/** What the real worker, held in the books by a driver, has to show on each. */
function testOn(open: () => Promise<SandboxDriverHarness>, image: string): void {
  test(
    "X0: a function runs in a worker that holds its room in the door's name, and nothing is left at the end",
    async () => {
      await using harness = await open();
      await using world = await openWorld(harness.driver, image);
      const { executor, scheduler } = world;
      expect(await valueOf(await world.call("hello", "driver"))).toBe("hello driver");
      const asked = executor.jobs.list().map(({ state, door, reserved }) => ({ state, door, reserved }));
      expect(asked).toMatchObject([
        { state: "running", door: "indexify", reserved: { memoryBytes: 268_435_456 } },
      ]);
      expect(executor.view().reservedByDoor.indexify.memoryBytes).toBe(268_435_456);
      await world[Symbol.asyncDispose]();
      expect(executor.view().reserved).toEqual(NO_RESOURCES);
      expect(scheduler.server.violations).toEqual([]);
      await poll("nothing of it is left", async () => (await harness.remains()).join() === "" || "not yet");
    },
    SLOW_MS,
  );

  test(
    "X10: a memory kill and a crash each give their own reason, and the room is free again",
    async ({ skip }) => {
      await using harness = await open();
      if (!harness.enforcesMemory) return skip("nothing enforces memory here");
      await using world = await openWorld(harness.driver, image);
      const { scheduler, executor } = world;
      const eaten = await world.call("eats", 1024);
      expect(eaten).toMatchObject({ type: "failed", failed: { reason: AllocationFailureReason.OOM } });
      const crashed = await world.call("crashes", "");
      expect(crashed).toMatchObject({
        type: "failed",
        failed: { reason: AllocationFailureReason.FUNCTION_ERROR },
      });
      await poll("both ends are reported", () => scheduler.terminated.length >= 2 || "not yet");
      // They are of two workers: each is told when it is gone.
      expect(new Set(scheduler.terminated.map(({ reason }) => reason))).toEqual(
        new Set([ContainerTerminationReason.OOM, ContainerTerminationReason.PROCESS_CRASH]),
      );
      await poll("its room is free", () => executor.view().reserved.memoryBytes === 0 || "not yet");
    },
    SLOW_MS,
  );
}

describe.skipIf(noPython !== undefined)(noPython ?? "the real worker on the process driver", () => {
  testOn(() => openProcessHarness(), "");
});

const reason = noPython ?? whyNoEngine();

describe.skipIf(reason !== undefined)(reason ?? "the real worker on the docker driver", () => {
  let engine: PrivateEngine;
  const image = "hearth-test/functions:1";

  beforeAll(async () => {
    engine = await openPrivateEngine();
    await buildJobImage(new Docker({ socketPath: engine.socketPath }), image);
  }, 120_000);
  afterAll(async () => {
    await engine[Symbol.asyncDispose]();
  });

  testOn(() => openDockerHarness(engine.socketPath, {}, "nobody/nothing:1"), image);
});
