import { createHash, randomBytes } from "node:crypto";
import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { ContainerTerminationReason, ExecutorStatus } from "../../src/gen/executor_api_pb.js";
import { parseExposition } from "../support/exposition.ts";
import { expectColdRun } from "../support/indexify/cold-run.ts";
import type { DaemonWorld } from "../support/indexify/daemon-world.ts";
import { openDaemonWorld } from "../support/indexify/daemon-world.ts";
import { bytesOf, reasonOf, valueOf, wholeOf } from "../support/indexify/request-end.ts";
import { poll } from "../support/poll.ts";
import { receiptOf } from "../support/receipts.ts";
import { SLACK } from "../support/slack.ts";
import type { Daemon } from "../support/start-daemon.ts";
import { startDaemon } from "../support/start-daemon.ts";

const SLOW_MS = 300_000;
const LARGE_MS = 600_000;
const MIB = 1024 * 1024;
/** What the daemon may grow by while it handles blobs of 200 MiB: they do not pass through it. */
const GROWTH_KB = 80 * 1024;
const WARM_CALLS = 20;
const noPython = !existsSync("/usr/bin/python3");

describe.skipIf(noPython)("X0: a daemon as an executor, with the real worker", () => {
  let world: DaemonWorld;
  beforeAll(async () => {
    const gib = 2n ** 30n;
    const large = { digest_of: gib, there_and_back: gib + gib / 2n, mirrored: gib + gib / 2n, big: gib };
    world = await openDaemonWorld({ application: { memoryBytesOf: large }, config: "mem: 6144\n" });
  }, 400_000);
  afterAll(async () => await world[Symbol.asyncDispose]());

  test(
    "a function returns its value, and the metrics of the first run are those that the contract lists",
    async () => {
      const scrape = async () => parseExposition((await world.monitor("/monitoring/metrics")).text);
      const before = await scrape();
      expect(await valueOf(await world.call("hello", "you"))).toBe("hello you");
      const after = await scrape();
      expectColdRun(before, after);
      expect(after.value("runnable_allocations_per_function_name", { function_name: "hello" })).toBe(0);
      const { executorId } = world.scheduler;
      expect((await world.monitor("/state/desired")).text).toContain("function=default:tests:hello:v1\n");
      await poll("it is told", async () => {
        const { text } = await world.monitor("/state/reported");
        const isTold = text.includes("function=default:tests:hello:v1 state=running\n");
        return (isTold && text.startsWith(`executor_id=${executorId}\n`)) || text;
      });
      const listed = await world.daemon.cli("ps");
      const row = listed.split("\n").find((line) => line.startsWith(`${world.scheduler.started[0]} `));
      expect(row, listed).toContain(" default:tests:hello:v1 ");
    },
    SLOW_MS,
  );

  test(
    "the daemon is its worker's parent; what a function raises is its error, what it raises for the caller has its words",
    async () => {
      expect(await valueOf(await world.call("parent_pid", ""))).toBe(world.daemon.child.pid);
      expect(reasonOf(await world.call("fails", ""))).toBe("FUNCTION_ERROR");
      const refused = await world.call("refuses", "today");
      expect(reasonOf(refused)).toBe("REQUEST_ERROR");
      const error = refused.type === "failed" ? refused.failed.requestError : undefined;
      expect((await bytesOf(error)).toString()).toContain("not today");
      expect(world.scheduler.terminated).toEqual([]);
    },
    SLOW_MS,
  );

  test(
    "a worker that is asked for in a pause is listed with the reason, and starts once that is over",
    async () => {
      const { daemon } = world;
      await daemon.cli("pause");
      let answer: ReturnType<typeof world.call>;
      try {
        answer = world.call("tail", 4);
        await poll("it is listed", async () => {
          const listed = await daemon.cli("ps");
          return /\nWAITS .*\n.* job .* the executor is paused/.test(listed) || listed;
        });
      } finally {
        await daemon.cli("unpause");
      }
      expect(await valueOf(await answer)).toBe(8);
      expect(await daemon.cli("ps")).not.toContain("WAITS");
    },
    SLOW_MS,
  );

  test(
    "each allocation leaves one run with a receipt that verifies: what it was given and gave, where its time went, and why it failed",
    async () => {
      const { daemon, scheduler } = world;
      const text = "y".repeat(1000);
      expect(await valueOf(await world.call("hello", "worker"))).toBe("hello worker");
      expect(await valueOf(await world.call("hello", text))).toBe(`hello ${text}`);
      expect(reasonOf(await world.call("fails", text))).toBe("FUNCTION_ERROR");
      const [answered, failed] = await Promise.all(
        scheduler.server.outcomes.slice(-2).map(async ({ outcome }) => {
          const id = outcome.value?.allocationId ?? "";
          const runs = (await runsOf(daemon)).filter((run) => run.id.startsWith(`${id}~`));
          expect(runs).toHaveLength(1);
          return (await receiptOf(daemon, runs[0]?.id ?? "")).entry;
        }),
      );
      if (answered === undefined || failed === undefined) throw new Error("there are no two outcomes");
      const common = {
        ...{ door: "indexify", isolation: "process", isolationAsked: "default" },
        booked: { cpuMillis: 250, memoryBytes: 256 * MIB, gpuIds: [] },
      };
      expect(answered).toMatchObject({ ...common, outcome: "answered", start: "warm" });
      expect(failed).toMatchObject({ ...common, outcome: "failed", error: "FUNCTION_FAILED" });
      expect(failed.facts).toBe('{"reason":"FUNCTION_ERROR"}');
      for (const { used, phasesUs, wallUs, acceptedAtUs } of [answered, failed]) {
        expect(used).toMatchObject({ bytesIn: text.length + 2, reading: "none" });
        expect(used.cpuUs).toBeUndefined();
        expect(phasesUs.firstByte).toBeGreaterThan(0);
        expect(Object.values(phasesUs).reduce((sum, us) => sum + us, 0)).toBe(wallUs);
        expect(Math.abs(Date.now() * 1000 - acceptedAtUs)).toBeLessThan(SLOW_MS * 1000);
      }
      expect(answered.used.bytesOut).toBeGreaterThanOrEqual("hello ".length + text.length);
      expect(failed.used.bytesOut).toBe(0);
      // Each in a worker of its function, whose own record names the same sandbox when it has ended.
      expect(answered.sandbox).not.toBe(failed.sandbox);
      expect(answered.digest).toBe(failed.digest);
      expect(await daemon.cli("runs", "show", answered.id)).toContain(answered.sandbox);
      expect(await daemon.cli("verify")).toMatch(/whole/);
    },
    SLOW_MS,
  );

  test(
    "nested calls, a tail call, a reduction and the request's state give what they should",
    async () => {
      world.keepOnly("hello");
      expect(await valueOf(await world.call("doubles_of", [1, 2]))).toEqual([2, 4]);
      expect(await valueOf(await world.call("tail", 21))).toBe(42);
      world.keepOnly("hello");
      expect(await valueOf(await world.call("sum_of", [1, 2, 3, 4]))).toBe(10);
      expect(await valueOf(await world.call("remembers", "abc"))).toBe("abc|nothing");
    },
    SLOW_MS,
  );

  test(
    "200 MiB go in, to another function, back and out whole, and the daemon does not grow by them",
    async () => {
      world.keepOnly("hello");
      const { scheduler } = world;
      const resident = (): Promise<number> => residentKb(world.daemon.child.pid);
      const before = await resident();
      // What is not the same everywhere: a piece that is missing, doubled or moved changes the digest.
      const piece = randomBytes(MIB + 1);
      const content = Buffer.alloc(200 * MIB);
      for (let at = 0; at < content.length; at += piece.length) piece.copy(content, at);
      const digest = createHash("sha256").update(content).digest("hex");
      expect(await valueOf(await world.send("digest_of", content))).toBe(digest);
      const [sent, back] = (await valueOf(await world.call("there_and_back", 200))) as readonly string[];
      expect(back).toBe(sent);
      const out = await world.call("big", 200);
      if (out.type !== "value") throw new Error(reasonOf(out));
      expect(
        createHash("sha256")
          .update(await wholeOf(out.payload))
          .digest("hex"),
      ).toBe(out.payload?.sha256Hash);
      expect(out.payload?.size).toBeGreaterThanOrEqual(BigInt(200 * MIB));
      expect((await resident()) - before).toBeLessThan(GROWTH_KB);
      expect(new Set(scheduler.terminated.map(({ reason }) => ContainerTerminationReason[reason]))).toEqual(
        new Set(["FUNCTION_CANCELLED"]),
      );
    },
    LARGE_MS,
  );

  test(
    "X0: warm allocations meet the same worker, half of them within 100 ms",
    async () => {
      world.keepOnly("hello");
      expect(await valueOf(await world.call("hello", "first"))).toBe("hello first");
      const startedBefore = world.scheduler.started.length;
      const tookMs: number[] = [];
      for (let index = 0; index < WARM_CALLS; index += 1) {
        const startedAtMs = performance.now();
        expect(await valueOf(await world.call("hello", String(index)))).toBe(`hello ${index}`);
        tookMs.push(performance.now() - startedAtMs);
      }
      tookMs.sort((left, right) => left - right);
      const [median, slowest] = [tookMs[WARM_CALLS / 2]!, tookMs.at(-1)!];
      console.log(
        `a warm allocation: median ${median.toFixed(1)} ms, slowest of ${WARM_CALLS} ${slowest.toFixed(1)} ms`,
      );
      expect(world.scheduler.started).toHaveLength(startedBefore);
      expect(median).toBeLessThan(100 * SLACK);
    },
    SLOW_MS,
  );

  test(
    "the group is told to end: the server hears STOPPED and of no failure, no worker is left, and the exit code is 0",
    async () => {
      const { scheduler, daemon } = world;
      const { server } = scheduler;
      // Those that were taken away before may still be about to end, and be told of.
      await poll("what has begun runs or has ended", () => {
        const ended = new Set(scheduler.terminated.map(({ containerId }) => containerId));
        const left = scheduler.started.filter((id) => !ended.has(id) && !scheduler.running.includes(id));
        return left.length === 0 || left.join();
      });
      const [outcomes, terminated] = [server.outcomes.length, scheduler.terminated.length];
      world.call("sleeps", 60).catch(() => undefined);
      await world.untilRuns();
      let workers = await world.workers();
      await poll("what runs is what is wanted", async () => {
        workers = await world.workers();
        return workers.length === scheduler.running.length || workers.join();
      });
      // As a signal to the group does: workers may be gone before the daemon looks.
      const ended = daemon.end("SIGTERM");
      for (const pid of workers) endIfThere(pid);
      expect(await ended).toBe(0);
      await poll(
        "the server is told",
        () => server.heartbeats.at(-1)?.status === ExecutorStatus.STOPPED || "not yet",
      );
      expect(server.heartbeats.at(-1)).toMatchObject({
        allocationOutcomes: [],
        commandResponses: [],
      });
      expect(server.outcomes).toHaveLength(outcomes);
      expect(scheduler.terminated).toHaveLength(terminated);
      expect(await world.workers()).toEqual([]);
      expect(server.violations).toEqual([]);
    },
    SLOW_MS,
  );
});

async function runsOf({ baseUrl }: Pick<Daemon, "baseUrl">): Promise<readonly { readonly id: string }[]> {
  const answer = await fetch(`${baseUrl}/v1/runs?door=indexify`);
  return ((await answer.json()) as { runs: { id: string }[] }).runs;
}

function endIfThere(pid: number): void {
  try {
    process.kill(pid, "SIGKILL");
  } catch {
    // The daemon was faster.
  }
}

async function residentKb(pid: number | undefined): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, "utf8");
  return Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1]);
}

test.skipIf(noPython)(
  "X13: without the worker's program its functions fail, the log says what to install, and all else runs",
  async () => {
    await using world = await openDaemonWorld({
      env: { HEARTH_INDEXIFY_FUNCTION_EXECUTOR: "no-function-executor" },
    });
    const failed = await world.call("hello", "you");
    expect(reasonOf(failed)).toBe("STARTUP_FAILED_INTERNAL_ERROR");
    await poll("the worker's end is told", () => world.scheduler.terminated.length > 0 || "not yet");
    expect(world.scheduler.terminated.map(({ reason }) => ContainerTerminationReason[reason])).toEqual([
      "STARTUP_FAILED_INTERNAL_ERROR",
    ]);
    await poll("the log says what to install", () => {
      const lines = world.daemon.log().split("\n");
      const worker = lines.filter((line) => line.includes("indexify.worker-failed")).join();
      return worker.includes("pip install tensorlake==0.4.0") || worker;
    });
    expect((await world.monitor("/monitoring/health")).status).toBe(200);
    expect((await fetch(`${world.daemon.baseUrl}/health`)).status).toBe(200);
  },
  SLOW_MS,
);

test("X2: a server that was never there is told by health alone, and the other doors work", async () => {
  await using daemon = await startDaemon({
    config: "driver: process\n",
    env: { HEARTH_INDEXIFY_SERVER_ADDR: "http://127.0.0.1:1" },
  });
  expect((await fetch(`${daemon.monitorUrl}/monitoring/startup`)).status).toBe(200);
  await poll("health says why", async () => {
    const answer = await fetch(`${daemon.monitorUrl}/monitoring/health`);
    const text = await answer.text();
    return (answer.status === 503 && text.includes("door indexify: ")) || text;
  });
  expect((await fetch(`${daemon.monitorUrl}/monitoring/startup`)).status).toBe(200);
  expect((await fetch(`${daemon.baseUrl}/health`)).status).toBe(200);
  expect(await daemon.end("SIGTERM")).toBe(0);
}, 180_000);
