import { readFileSync } from "node:fs";
import type { Daemon } from "../support/start-daemon.ts";
import { startDaemon } from "../support/start-daemon.ts";
import type { Bench, Row } from "./lib/bench.ts";
import { openBenchEngine } from "./lib/bench-engine.ts";
import { cpuTimeUs } from "./lib/cpu-time.ts";
import { load } from "./lib/load.ts";
import { median } from "./lib/rounds.ts";

const CONFIG = "cpu: 64\nmem: 16384\ntimeout: 60\n";
const REPOSITORY = "hearth-test/many";

/** What one daemon holds at once: each task is a key of its own, the surplus over the host's cores is frozen. */
export const many: Bench = {
  name: "many",
  summary:
    "one daemon with 1 to 500 warm tasks in containers of 0.1 cores; those beyond the host's cores are frozen",
  async run({ isQuick }) {
    await using engine = await openBenchEngine();
    await using daemon = await startDaemon({
      config: CONFIG,
      env: { DOCKER_HOST: engine.host, HEARTH_DRIVER: "docker" },
    });
    const rows: Row[] = [];
    let made = 0;
    for (const count of isQuick ? [1, 10, 25] : [1, 10, 50, 100, 200, 500]) {
      const coldMs: number[] = [];
      for (; made < count; made += 1) {
        await engine.docker.getImage(engine.image).tag({ repo: REPOSITORY, tag: `${made}` });
        coldMs.push(await call(daemon, made));
      }
      const newest = made - 1;
      const thawMs: number[] = [];
      for (let at = 0; at < Math.min(5, made - 1); at += 1) thawMs.push(await call(daemon, at));
      await call(daemon, newest);
      const body = requestFor(newest);
      const port = Number(new URL(daemon.baseUrl).port);
      const under = await load({ host: "127.0.0.1", port, body, connections: 8, seconds: isQuick ? 1 : 3 });
      rows.push({
        case: `${count} warm`,
        figures: {
          cold_ms: median(coldMs.slice(-10)),
          thaw_ms: thawMs.length === 0 ? Number.NaN : median(thawMs),
          calls_per_s: Math.round(under.perSecond),
          errors: under.errors,
          rss_mb: rssMb(daemon),
          idle_cpu_percent: await idleCpuPercent(daemon, isQuick ? 3 : 10),
        },
      });
    }
    return rows;
  },
};

/** A daemon that nobody calls. */
export const idle: Bench = {
  name: "idle",
  summary: "a daemon that has nothing to do: share of one core, and memory (after its networks are made)",
  async run({ isQuick }) {
    await using engine = await openBenchEngine();
    const seconds = isQuick ? 5 : 30;
    const rows: Row[] = [];
    for (const driver of ["docker", "process"]) {
      await using daemon = await startDaemon({ env: { DOCKER_HOST: engine.host, HEARTH_DRIVER: driver } });
      await new Promise((resolve) => setTimeout(resolve, 10_000));
      const cpu = await idleCpuPercent(daemon, seconds);
      rows.push({ case: `${driver} driver`, figures: { idle_cpu_percent: cpu, rss_mb: rssMb(daemon) } });
    }
    return rows;
  },
};

/** Each tag is a key of its own. */
function requestFor(at: number): string {
  return JSON.stringify({ id: `${REPOSITORY}:${at}`, resource: { cpu: 0.1, mem: 8 }, input: "x" });
}

/** @returns how long the call took, in milliseconds. */
async function call(daemon: Daemon, at: number): Promise<number> {
  const startMs = performance.now();
  const answer = await fetch(daemon.baseUrl, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: requestFor(at),
  });
  const { success, msg } = (await answer.json()) as { success: boolean; msg: string };
  if (!success) throw new Error(msg);
  return performance.now() - startMs;
}

async function idleCpuPercent(daemon: Daemon, seconds: number): Promise<number> {
  const pid = daemon.child.pid ?? 0;
  const before = cpuTimeUs(pid);
  await new Promise((resolve) => setTimeout(resolve, seconds * 1000));
  return ((cpuTimeUs(pid) - before) / (seconds * 1_000_000)) * 100;
}

function rssMb(daemon: Daemon): number {
  const line = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${daemon.child.pid ?? 0}/status`, "utf8"));
  return Math.round((Number(line?.[1]) * 1024) / 1e6);
}
