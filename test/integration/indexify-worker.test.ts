import { existsSync } from "node:fs";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { ContainerTerminationReason } from "../../src/gen/executor_api_pb.js";
import {
  type Application,
  DoubleScheduler,
  type RequestEnd,
  storedJson,
} from "../support/indexify/double-scheduler.ts";
import { reasonOf, valueOf } from "../support/indexify/request-end.ts";
import { openTensorlake, type Tensorlake } from "../support/indexify/tensorlake.ts";
import { startTestExecutor, type TestExecutor } from "../support/indexify/test-executor.ts";
import { poll } from "../support/poll.ts";

const SLOW_MS = 240_000;
let tensorlake: Tensorlake | string;
let folder: string;

beforeAll(async () => {
  tensorlake = await openTensorlake();
  folder = await mkdtemp(join(tmpdir(), "hearth-indexify-"));
}, 400_000);

afterAll(async () => rm(folder, { recursive: true, force: true }));

interface World extends AsyncDisposable {
  readonly scheduler: DoubleScheduler;
  readonly executor: TestExecutor;
  readonly blobs: string;
  call(name: string, input: unknown): Promise<RequestEnd>;
}

async function openWorld(over: Partial<Application> = {}): Promise<World> {
  if (typeof tensorlake === "string") throw new Error(tensorlake);
  const place = await mkdtemp(join(folder, "world-"));
  const blobs = join(place, "blobs");
  await mkdir(blobs);
  const scheduler = new DoubleScheduler({ zipPath: tensorlake.appZip, blobFolder: blobs, ...over });
  await scheduler.server.start();
  const executor = startTestExecutor({
    serverAddress: scheduler.server.address,
    functionExecutor: tensorlake.functionExecutor,
    cacheFolder: join(place, "cache"),
  });
  await poll("the executor registers", () => executor.link.state.type === "ready" || "not yet");
  let inputs = 0;
  return {
    scheduler,
    executor,
    blobs,
    call: async (name, input) => {
      inputs += 1;
      const json = JSON.stringify(input);
      const path = join(blobs, `input-${inputs}.json`);
      await writeFile(path, json);
      return await scheduler.request(name, storedJson(`file://${path}`, json));
    },
    async [Symbol.asyncDispose]() {
      await executor[Symbol.asyncDispose]();
      await scheduler.server[Symbol.asyncDispose]();
    },
  };
}

describe.skipIf(!existsSync("/usr/bin/python3"))("X0: with the real worker", () => {
  test(
    "a function returns its value, and the second call meets the same worker",
    async () => {
      await using world = await openWorld();
      expect(await valueOf(await world.call("hello", "you"))).toBe("hello you");
      expect(await valueOf(await world.call("parent_pid", ""))).toBe(process.pid);
      expect(await valueOf(await world.call("hello", "again"))).toBe("hello again");
      expect(world.executor.pids).toHaveLength(2);
      expect(world.scheduler.server.violations).toEqual([]);
    },
    SLOW_MS,
  );

  test(
    "a crash, a timeout and progress: each has its own reason, and the next call finds a worker",
    async () => {
      await using world = await openWorld({ allocationTimeoutMs: 8_000 });
      expect(reasonOf(await world.call("crashes", ""))).toBe("FUNCTION_ERROR");
      await poll("the end is told", () => world.scheduler.terminated.length === 1 || "not yet");
      expect(world.scheduler.terminated[0]?.reason).toBe(ContainerTerminationReason.PROCESS_CRASH);
      expect(reasonOf(await world.call("sleeps", 60))).toBe("FUNCTION_TIMEOUT");
      await poll("the end is told", () => world.scheduler.terminated.length === 2 || "not yet");
      expect(world.scheduler.terminated[1]?.reason).toBe(ContainerTerminationReason.FUNCTION_TIMEOUT);
      expect(await valueOf(await world.call("sleeps", 0.1))).toBe("slept");
      // Half a second for each: longer than its time, but never silent for so long.
      expect(await valueOf(await world.call("slow_with_progress", 20))).toBe("done");
    },
    SLOW_MS,
  );

  test(
    "the end of the executor leaves no worker and reports no death",
    async () => {
      const world = await openWorld();
      const running = world.call("sleeps", 60);
      running.catch(() => undefined);
      await poll("it runs", () => world.executor.desk.allocations[0]?.phase === "running" || "not yet");
      await world[Symbol.asyncDispose]();
      for (const pid of world.executor.pids) expect(existsSync(`/proc/${pid}`)).toBe(false);
      expect(world.scheduler.terminated).toEqual([]);
    },
    SLOW_MS,
  );
});
