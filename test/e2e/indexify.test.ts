import { existsSync } from "node:fs";
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { ContainerTerminationReason, ContainerType, ExecutorStatus } from "../../src/gen/executor_api_pb.js";
import type { RequestEnd } from "../support/indexify/double-scheduler.ts";
import { DoubleScheduler, storedJson } from "../support/indexify/double-scheduler.ts";
import { reasonOf, valueOf } from "../support/indexify/request-end.ts";
import { openTensorlake, type Tensorlake } from "../support/indexify/tensorlake.ts";
import { poll } from "../support/poll.ts";
import type { Daemon } from "../support/start-daemon.ts";
import { startDaemon } from "../support/start-daemon.ts";

const SLOW_MS = 120_000;
let tensorlake: Tensorlake | string;
let folder: string;

beforeAll(async () => {
  tensorlake = await openTensorlake();
  folder = await mkdtemp(join(tmpdir(), "hearth-indexify-e2e-"));
}, 400_000);

afterAll(async () => rm(folder, { recursive: true, force: true }));

interface World extends AsyncDisposable {
  readonly scheduler: DoubleScheduler;
  readonly daemon: Daemon;
  readonly blobs: string;
  call(name: string, input: unknown): Promise<RequestEnd>;
  monitor(path: string): Promise<{ readonly status: number; readonly text: string }>;
  /** Waits until the server has taken everything that there is to know of the daemon. */
  ready(): Promise<void>;
}

interface WorldOptions {
  readonly env?: Readonly<Record<string, string>>;
}

function environmentOf({ server }: DoubleScheduler): Record<string, string> {
  if (typeof tensorlake === "string") throw new Error(tensorlake);
  return {
    HEARTH_INDEXIFY_SERVER_ADDR: `http://${server.address}`,
    HEARTH_INDEXIFY_FUNCTION_EXECUTOR: tensorlake.functionExecutor,
  };
}

/** The built daemon with the process driver, as the executor of a server's double. */
async function openWorld({ env = {} }: WorldOptions = {}): Promise<World> {
  if (typeof tensorlake === "string") throw new Error(tensorlake);
  const place = await mkdtemp(join(folder, "world-"));
  const blobs = join(place, "blobs");
  await mkdir(blobs);
  const size = { cpuMsPerSec: 100, memoryBytes: 256n * 1024n * 1024n };
  const scheduler = new DoubleScheduler({ zipPath: tensorlake.appZip, blobFolder: blobs, ...size });
  await scheduler.server.start();
  const daemon = await startDaemon({
    config: "driver: process\n",
    env: { ...environmentOf(scheduler), ...env },
  });
  let inputs = 0;
  const world: World = {
    scheduler,
    daemon,
    blobs,
    call: async (name, input) => {
      inputs += 1;
      const json = JSON.stringify(input);
      const path = join(blobs, `input-${inputs}.json`);
      await writeFile(path, json);
      return await scheduler.request(name, storedJson(`file://${path}`, json));
    },
    monitor: async (path) => {
      const answer = await fetch(`${daemon.monitorUrl}${path}`);
      return { status: answer.status, text: await answer.text() };
    },
    ready: async () =>
      await poll("the server knows the daemon", async () => {
        const { status, text } = await world.monitor("/monitoring/health");
        const hasPolled = daemon.log().includes("indexify.ready");
        return (status === 200 && hasPolled) || text;
      }),
    async [Symbol.asyncDispose]() {
      await daemon[Symbol.asyncDispose]();
      await scheduler.server[Symbol.asyncDispose]();
    },
  };
  await world.ready();
  return world;
}

/** The workers of an executor that run now, by what was written on their command lines. */
async function workersOf(executorId: string): Promise<number[]> {
  const pids = (await readdir("/proc")).filter((name) => /^\d+$/.test(name));
  const found = await Promise.all(
    pids.map(async (pid) => {
      const line = await readFile(`/proc/${pid}/cmdline`, "utf8").catch(() => "");
      return line.includes(`--executor-id=${executorId}\0`) ? [Number(pid)] : [];
    }),
  );
  return found.flat();
}

describe.skipIf(!existsSync("/usr/bin/python3"))("a daemon as an executor, with the real worker", () => {
  test(
    "X0: a function returns its value; the daemon is its worker's parent; errors, nested calls and state are as they should",
    async () => {
      await using world = await openWorld();
      expect(await valueOf(await world.call("hello", "you"))).toBe("hello you");
      expect(await valueOf(await world.call("parent_pid", ""))).toBe(world.daemon.child.pid);
      expect(reasonOf(await world.call("fails", ""))).toBe("FUNCTION_ERROR");
      expect(await valueOf(await world.call("doubles_of", [1, 2]))).toEqual([2, 4]);
      expect(await valueOf(await world.call("remembers", "abc"))).toBe("abc|nothing");
      expect(world.scheduler.server.violations).toEqual([]);

      const { executorId } = world.scheduler;
      const desired = (await world.monitor("/state/desired")).text;
      expect(desired).toContain("function=default:tests:hello:v1 state=running");
      const reported = (await world.monitor("/state/reported")).text;
      expect(reported).toContain(`indexify_executor_id=${executorId}\n`);
      const listed = await world.daemon.cli("ps");
      expect(listed).toContain(world.scheduler.started[0]);
      expect(await workersOf(executorId)).toHaveLength(world.scheduler.started.length);
      expect(await world.daemon.end("SIGTERM")).toBe(0);
      expect(await workersOf(executorId)).toEqual([]);
    },
    SLOW_MS,
  );

  test(
    "X3: a server that goes away is told by health; what runs goes on, and a server without memory gets it all once",
    async () => {
      await using world = await openWorld();
      const { server } = world.scheduler;
      expect(await valueOf(await world.call("hello", "you"))).toBe("hello you");
      const slept = world.call("sleeps", 4);
      await poll("it has begun", async () => {
        const { text } = await world.monitor("/state/desired");
        return /^allocation .*phase=running$/m.test(text) || text;
      });
      server.stop(false);
      await poll("health tells", async () => {
        const { status, text } = await world.monitor("/monitoring/health");
        return (status === 503 && text.includes("door indexify: ")) || text;
      });
      expect((await world.monitor("/monitoring/startup")).status).toBe(200);
      expect((await fetch(`${world.daemon.baseUrl}/health`)).status).toBe(200);
      await poll("it is over", async () => {
        const { text } = await world.monitor("/state/desired");
        return !text.includes("\nallocation ") || text;
      });
      await server.start();
      expect(await valueOf(await slept)).toBe("slept");
      await world.ready();
      expect(world.scheduler.terminated).toEqual([]);
      expect(server.outcomes).toHaveLength(2);
      expect(server.violations).toEqual([]);
    },
    SLOW_MS,
  );

  test(
    "X7: added, removed and added again there is one worker in the end; a wrong description is rejected alone",
    async () => {
      await using world = await openWorld();
      const { scheduler, daemon } = world;
      const { server, executorId } = scheduler;
      server.misbehaviour.repeatsCommands = true;
      const remove = (containerId: string): void =>
        server.send(executorId, { case: "removeContainer", value: { containerId } });
      await scheduler.addContainer("c", "hello");
      remove("c");
      await scheduler.addContainer("c", "hello");
      server.send(executorId, {
        case: "addContainer",
        value: { container: { id: "wrong", containerType: ContainerType.FUNCTION } },
      });
      remove("c");
      await scheduler.addContainer("c", "hello");
      await poll(
        "one runs in the end",
        async () => {
          const { text } = await world.monitor("/state/desired");
          const isRunning = text.includes("container id=c function=default:tests:hello:v1 state=running");
          return (isRunning && (await workersOf(executorId)).length === 1) || text;
        },
        60_000,
      );
      expect(daemon.log()).toContain("indexify.command-refused");
      expect((await world.monitor("/state/desired")).text).not.toContain("wrong");
    },
    SLOW_MS,
  );

  test(
    "X10: a worker that crashes frees its room; the daemon killed, its next life leaves no worker behind and works on",
    async () => {
      await using world = await openWorld();
      const { scheduler, daemon } = world;
      const { executorId } = scheduler;
      expect(reasonOf(await world.call("crashes", ""))).toBe("FUNCTION_ERROR");
      expect(scheduler.terminated.map(({ reason }) => ContainerTerminationReason[reason])).toEqual([
        "PROCESS_CRASH",
      ]);
      await poll("its room is free", async () => {
        const listed = await daemon.cli("ps");
        return !listed.includes("container-crashes") || listed;
      });
      expect(await valueOf(await world.call("hello", "you"))).toBe("hello you");
      const left = await workersOf(executorId);
      expect(left).toHaveLength(1);
      await daemon.end("SIGKILL");
      await using next = await startDaemon({
        config: "driver: process\n",
        stateDir: daemon.stateDir,
        env: environmentOf(scheduler),
      });
      await poll("they are gone", async () => {
        const now = await workersOf(executorId);
        return !left.some((pid) => now.includes(pid)) || now.join();
      });
      await poll("the same executor is back", () => next.log().includes("indexify.ready") || next.log());
      expect(scheduler.executorId).toBe(executorId);
    },
    SLOW_MS,
  );

  test(
    "X13: without the worker's program its functions fail, the log says what to install, and all else runs",
    async () => {
      await using world = await openWorld({
        env: { HEARTH_INDEXIFY_FUNCTION_EXECUTOR: "no-function-executor" },
      });
      const failed = await world.call("hello", "you");
      expect(reasonOf(failed)).toBe("STARTUP_FAILED_INTERNAL_ERROR");
      expect(world.scheduler.terminated.map(({ reason }) => ContainerTerminationReason[reason])).toEqual([
        "STARTUP_FAILED_INTERNAL_ERROR",
      ]);
      const worker = world.daemon
        .log()
        .split("\n")
        .filter((line) => line.includes("indexify.worker-failed"));
      expect(worker.join()).toContain("pip install tensorlake==0.4.0");
      expect((await world.monitor("/monitoring/health")).status).toBe(200);
      expect((await fetch(`${world.daemon.baseUrl}/health`)).status).toBe(200);
    },
    SLOW_MS,
  );

  test(
    "the group is told to end: the server hears STOPPED and of no failure, no worker is left, and the exit code is 0",
    async () => {
      await using world = await openWorld();
      const { server, executorId } = world.scheduler;
      world.call("sleeps", 60).catch(() => undefined);
      await poll("it has begun", async () => {
        const { text } = await world.monitor("/state/desired");
        return /^allocation .*phase=running$/m.test(text) || text;
      });
      const ended = world.daemon.end("SIGTERM");
      for (const pid of await workersOf(executorId)) process.kill(pid, "SIGKILL");
      expect(await ended).toBe(0);
      expect(server.heartbeats.at(-1)).toMatchObject({
        status: ExecutorStatus.STOPPED,
        allocationOutcomes: [],
        commandResponses: [],
      });
      expect(server.outcomes).toEqual([]);
      expect(world.scheduler.terminated).toEqual([]);
      expect(await workersOf(executorId)).toEqual([]);
    },
    SLOW_MS,
  );
});

test("a server that is away keeps the start from being over, and the other doors work", async () => {
  await using daemon = await startDaemon({
    config: "driver: process\n",
    env: { HEARTH_INDEXIFY_SERVER_ADDR: "http://127.0.0.1:1" },
  });
  expect((await fetch(`${daemon.monitorUrl}/monitoring/startup`)).status).toBe(503);
  await poll("health says why", async () => {
    const answer = await fetch(`${daemon.monitorUrl}/monitoring/health`);
    const text = await answer.text();
    return (answer.status === 503 && text.includes("door indexify: ")) || text;
  });
  expect((await fetch(`${daemon.baseUrl}/health`)).status).toBe(200);
  expect(await daemon.end("SIGTERM")).toBe(0);
});
