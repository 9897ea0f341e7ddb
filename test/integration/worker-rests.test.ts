import { existsSync } from "node:fs";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { launchWorker } from "../../src/doors/indexify/worker/launch-worker.ts";
import { ContainerTerminationReason } from "../../src/gen/executor_api_pb.js";
import { systemClock } from "../../src/std/index.ts";
import { DoubleScheduler, storedJson } from "../support/indexify/double-scheduler.ts";
import { startDriverExecutor } from "../support/indexify/driver-executor.ts";
import { reasonOf, valueOf } from "../support/indexify/request-end.ts";
import { openTensorlake, type Tensorlake } from "../support/indexify/tensorlake.ts";
import { startTestExecutor } from "../support/indexify/test-executor.ts";
import { poll } from "../support/poll.ts";
import { openProcessHarness } from "../support/process-harness.ts";

/** Above the sum of what is waited for. */
const SLOW_MS = 400_000;
let tensorlake: Tensorlake;
let folder = "";

describe.skipIf(!existsSync("/usr/bin/python3"))("a pause and the end, with the real worker", () => {
  beforeAll(async () => {
    const installed = await openTensorlake();
    if (typeof installed === "string") throw new Error(installed);
    tensorlake = installed;
    folder = await mkdtemp(join(tmpdir(), "hearth-rests-"));
  }, 400_000);
  afterAll(async () => {
    if (folder !== "") await rm(folder, { recursive: true, force: true });
  });

  test(
    "neither waits for a worker without allocations; an operator who ends one fails no function",
    async () => {
      await using harness = await openProcessHarness();
      await using executor = await startDriverExecutor(harness.driver);
      const memoryBytes = 256n * 1024n * 1024n;
      const blobFolder = join(folder, "blobs");
      await mkdir(blobFolder);
      const double = new DoubleScheduler({ zipPath: tensorlake.appZip, blobFolder, memoryBytes });
      await using server = double.server;
      await server.start();
      const launching = {
        workers: executor.jobs.workers,
        executorId: "executor-1",
        program: tensorlake.functionExecutor,
        image: "",
        binds: [],
        network: "default",
        isolation: "default",
        secretNames: [],
        environment: process.env,
        clock: systemClock,
      } as const;
      await using door = startTestExecutor({
        serverAddress: server.address,
        functionExecutor: tensorlake.functionExecutor,
        cacheFolder: join(folder, "cache"),
        launch: (order, signal) => launchWorker(launching, order, signal),
      });
      await poll("the executor registers", () => door.link.state.type === "ready" || "not yet");
      const call = async (name: string, input: unknown) => {
        const path = join(folder, `${name}.json`);
        await writeFile(path, JSON.stringify(input));
        return await double.request(name, storedJson(`file://${path}`, JSON.stringify(input)));
      };
      expect(await valueOf(await call("hello", "you"))).toBe("hello you");
      expect(await executor.pause()).toEqual({ running: 0 });
      expect(executor.view().state).toBe("paused");
      executor.unpause();

      const slept = call("sleeps", 8);
      await poll("it runs", () => door.desk.allocations[0]?.phase === "running" || "not yet");
      const pausing = executor.pause();
      expect(executor.view().state).toBe("pausing");
      expect(await valueOf(await slept)).toBe("slept");
      expect(await pausing).toEqual({ running: 0 });
      executor.unpause();

      const asleep = call("sleeps", 300);
      await poll("it runs", () => door.desk.allocations[0]?.phase === "running" || "not yet");
      const busy = executor.jobs.list().find(({ mark }) => mark.jobId.includes("sleeps"));
      if (busy === undefined) throw new Error("the worker is not on the list");
      await executor.evict(busy.sandboxId, { isForced: true });
      expect(reasonOf(await asleep)).toBe("CONTAINER_TERMINATED");
      // The end of the function and that of its worker come in reports of their own.
      await poll("the worker's end is told", () => double.terminated.length > 0 || "not yet");
      expect(double.terminated.map(({ reason }) => ContainerTerminationReason[reason])).toEqual([
        "FUNCTION_CANCELLED",
      ]);

      // Nobody has told the door: the worker that is left has nothing to do, and so nothing is cut.
      expect(await executor.drain({ deadlineMs: 600_000, keepWarm: false })).toEqual({ cut: 0 });
      expect(executor.jobs.list()).toEqual([]);
    },
    SLOW_MS,
  );
});
