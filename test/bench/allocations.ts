import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { DataPayload } from "../../src/gen/executor_api_pb.js";
import { scrape } from "../support/exposition.ts";
import { DoubleScheduler, storedJson } from "../support/indexify/double-scheduler.ts";
import { openTensorlake } from "../support/indexify/tensorlake.ts";
import { poll } from "../support/poll.ts";
import { type Daemon, startDaemon } from "../support/start-daemon.ts";
import type { Bench, BenchOptions, Row } from "./lib/bench.ts";
import { cpuTimeUs } from "./lib/cpu-time.ts";

const INPUT = JSON.stringify("you");
/** Calls that make everything warm. */
const WARM_UP = 50;

/**
 * Warm allocations of a function that does next to nothing, through the whole daemon. Its own time is what an allocation takes
 * on this host outside of its run; a run is the worker's: its own time, and that of asking it. CPU is what the processes have
 * used, with all their threads; that of the server's double, which is this process, stands beside them and is in neither.
 */
export const allocations: Bench = {
  name: "allocations",
  summary:
    "1000 warm allocations of a no-op function: the daemon's share of time and CPU beside the worker's",
  async run(options) {
    const rows: Row[] = [];
    for (const concurrency of [1, 8]) rows.push(await measure(concurrency, options));
    return rows;
  },
};

async function measure(concurrency: number, { isQuick }: BenchOptions): Promise<Row> {
  const count = isQuick ? 100 : 1000;
  const tensorlake = await openTensorlake();
  if (typeof tensorlake === "string") throw new Error(tensorlake);
  const folder = await mkdtemp(join(tmpdir(), "hearth-bench-"));
  const blobFolder = join(folder, "blobs");
  await mkdir(blobFolder);
  const path = join(folder, "input.json");
  await writeFile(path, INPUT);
  const scheduler = new DoubleScheduler({
    ...{ zipPath: tensorlake.appZip, blobFolder, maxConcurrency: concurrency },
    // A whole core: where there are cgroups the worker is held to its share, and with less the row would measure that.
    ...{ cpuMsPerSec: 1000, memoryBytes: 256n * 1024n * 1024n },
  });
  await scheduler.server.start();
  let daemon: Daemon | undefined;
  try {
    daemon = await startDaemon({
      env: {
        HEARTH_DRIVER: "process",
        HEARTH_INDEXIFY_SERVER_ADDR: `http://${scheduler.server.address}`,
        HEARTH_INDEXIFY_FUNCTION_EXECUTOR: tensorlake.functionExecutor,
      },
    });
    const { monitorUrl } = daemon;
    await poll("the server knows the daemon", async () => {
      const answer = await fetch(`${monitorUrl}/monitoring/health`);
      return answer.status === 200 || (await answer.text());
    });
    const input = storedJson(`file://${path}`, INPUT);
    // The first alone: callers at once would each get a worker.
    await callOften(scheduler, input, 1, 1);
    await callOften(scheduler, input, WARM_UP, concurrency);
    return await compare(scheduler, input, { count, concurrency }, daemon);
  } finally {
    await daemon?.[Symbol.asyncDispose]();
    await scheduler.server[Symbol.asyncDispose]();
    await rm(folder, { recursive: true, force: true });
  }
}

async function compare(
  scheduler: DoubleScheduler,
  input: DataPayload,
  { count, concurrency }: { readonly count: number; readonly concurrency: number },
  { child, monitorUrl }: Daemon,
): Promise<Row> {
  const daemonPid = child.pid ?? 0;
  const workerPids = await workersOf(scheduler.executorId);
  const workerCpu = (): number => workerPids.reduce((sum, pid) => sum + cpuTimeUs(pid), 0);
  const before = await scrape(monitorUrl);
  const cpuBefore = { daemon: cpuTimeUs(daemonPid), worker: workerCpu(), server: process.cpuUsage() };
  const heartbeatsBefore = scheduler.server.heartbeats.length;
  const beganAtMs = performance.now();
  await callOften(scheduler, input, count, concurrency);
  const tookMs = performance.now() - beganAtMs;
  const cpu = { daemon: cpuTimeUs(daemonPid) - cpuBefore.daemon, worker: workerCpu() - cpuBefore.worker };
  const server = process.cpuUsage(cpuBefore.server);
  const heartbeats = scheduler.server.heartbeats.length - heartbeatsBefore;
  const after = await scrape(monitorUrl);
  const meanMs = (name: string): number => {
    const grown = (part: string): number =>
      after.value(`${name}_latency_seconds_${part}`) - before.value(`${name}_latency_seconds_${part}`);
    return (1000 * grown("sum")) / grown("count");
  };
  const wholeMs = meanMs("allocation_completion");
  const runMs = meanMs("allocation_run");
  return {
    case: `${count} at concurrency ${concurrency}`,
    figures: {
      per_s: Math.round(count / (tookMs / 1000)),
      whole_ms: round(wholeMs),
      worker_ms: round(runMs),
      daemon_ms: round(wholeMs - runMs),
      daemon_share: round((wholeMs - runMs) / wholeMs),
      daemon_cpu_us: Math.round(cpu.daemon / count),
      worker_cpu_us: Math.round(cpu.worker / count),
      server_cpu_us: Math.round((server.user + server.system) / count),
      heartbeats: round(heartbeats / count),
    },
  };
}

async function callOften(
  scheduler: DoubleScheduler,
  input: DataPayload,
  count: number,
  concurrency: number,
): Promise<void> {
  let left = count;
  const caller = async (): Promise<void> => {
    while (left > 0) {
      left -= 1;
      const end = await scheduler.request("hello", input);
      if (end.type !== "value") throw new Error("an allocation failed");
    }
  };
  await Promise.all(Array.from({ length: concurrency }, caller));
}

/** By what is written on their command lines. */
async function workersOf(executorId: string): Promise<number[]> {
  const pids: number[] = [];
  for (const name of await readdir("/proc")) {
    if (!/^\d+$/.test(name)) continue;
    const command = await readFile(`/proc/${name}/cmdline`, "utf8").catch(() => "");
    if (command.includes(`--executor-id=${executorId}`)) pids.push(Number(name));
  }
  if (pids.length === 0) throw new Error("no worker is found");
  return pids;
}

function round(value: number): number {
  return Math.round(value * 100) / 100;
}
