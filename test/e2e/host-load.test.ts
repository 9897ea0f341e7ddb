import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { availableParallelism } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { ask, stats } from "../support/legacy-call.ts";
import { poll } from "../support/poll.ts";
import { openPrivateEngine, whyNoEngine } from "../support/private-engine.ts";
import { outputOf } from "../support/run-program.ts";
import { SLACK } from "../support/slack.ts";
import type { Daemon } from "../support/start-daemon.ts";
import { freePort, startDaemon } from "../support/start-daemon.ts";

const root = fileURLToPath(new URL("../..", import.meta.url));
const reason = whyNoEngine();

/** The row's bound: from the burner's start to a figure that shows it. */
const RISE_MS = 3000;
/** The row's bound: percentage points between the daemon's figure and the kernel's. */
const POINTS = 5;
/** The daemon tells the CPU's use over the last second or so; a busy machine may stretch that. */
const WINDOW_MS = { least: 700, most: 2500 };
/** Longer than this between two looks, and the machine stood still: so did the daemon, and its window is longer by that. */
const STILL_MS = 250;
/** An answer that took longer is of a moment that nobody knows. */
const ANSWER_MS = 250;
const FIGURES = 6;
const PATIENCE_MS = 60_000;

interface CpuSample {
  readonly atMs: number;
  readonly busy: number;
  readonly total: number;
}

/** The first line of `/proc/stat`, read as `top` does: waiting for a disk is idle time. */
function readCpu(): CpuSample {
  const [, ...fields] = (readFileSync("/proc/stat", "utf8").split("\n")[0] ?? "").split(/ +/).map(Number);
  const [user = 0, nice = 0, system = 0, idle = 0, iowait = 0, irq = 0, softirq = 0, steal = 0] = fields;
  const busy = user + nice + system + irq + softirq + steal;
  return { atMs: performance.now(), busy, total: busy + idle + iowait };
}

/** Lowest and highest use over every window that ends now and that the daemon may have looked at. */
function truth(samples: readonly CpuSample[], now: CpuSample): { lowest: number; highest: number } {
  const longest = WINDOW_MS.most + stillWithin(samples, now);
  const shares = samples
    .filter(({ atMs }) => now.atMs - atMs >= WINDOW_MS.least && now.atMs - atMs <= longest)
    .map(({ busy, total }) => (100 * (now.busy - busy)) / (now.total - total));
  return { lowest: Math.min(...shares), highest: Math.max(...shares) };
}

/** For how long the machine stood still in what a window may reach back to. */
function stillWithin(samples: readonly CpuSample[], now: CpuSample): number {
  let stillMs = 0;
  for (let at = samples.length - 1; at > 0; at -= 1) {
    const [later, earlier] = [samples[at]!.atMs, samples[at - 1]!.atMs];
    if (now.atMs - later > WINDOW_MS.most + stillMs) break;
    if (later - earlier > STILL_MS) stillMs += later - earlier;
  }
  return stillMs;
}

function memoryPercent(): number {
  const text = readFileSync("/proc/meminfo", "utf8");
  const kilobytes = (name: string): number => Number(new RegExp(`^${name}: +(\\d+)`, "m").exec(text)?.[1]);
  return 100 * (1 - kilobytes("MemAvailable") / kilobytes("MemTotal"));
}

/** Asks for a figure every 50 ms, for so long at least and until there are enough; each with what the kernel counts. */
async function watch(
  daemon: Daemon,
  leastMs: number,
): Promise<readonly { used: number; lowest: number; highest: number }[]> {
  const samples: CpuSample[] = [];
  const seen: { used: number; lowest: number; highest: number }[] = [];
  const startedAtMs = performance.now();
  const isOver = (tookMs: number): boolean =>
    tookMs > PATIENCE_MS || (tookMs >= leastMs && seen.length >= FIGURES);
  while (!isOver(performance.now() - startedAtMs)) {
    const asked = readCpu();
    samples.push(asked);
    const { used_cpu: used = Number.NaN } = await stats(daemon);
    const now = readCpu();
    const isComparable = now.atMs - asked.atMs <= ANSWER_MS;
    if (isComparable && now.atMs - startedAtMs > WINDOW_MS.most) seen.push({ used, ...truth(samples, now) });
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  return seen;
}

/** Keeps every core busy until it is disposed. */
function burn(): AsyncDisposable {
  const children = Array.from({ length: availableParallelism() }, () =>
    spawn(process.execPath, ["-e", "for (;;);"], { stdio: "ignore" }),
  );
  return {
    async [Symbol.asyncDispose]() {
      for (const child of children) {
        const exited = once(child, "exit");
        child.kill("SIGKILL");
        await exited;
      }
    },
  };
}

test("M3: used_cpu and used_mem are within 5 points of what the kernel counts, at rest and under a burner", async () => {
  await using daemon = await startDaemon({ env: { HEARTH_DRIVER: "process" } });
  const check = async (): Promise<void> => {
    const seen = await watch(daemon, 4000);
    expect(seen.length).toBeGreaterThanOrEqual(FIGURES);
    for (const { used, lowest, highest } of seen) {
      expect(used).toBeGreaterThanOrEqual(lowest - POINTS);
      expect(used).toBeLessThanOrEqual(highest + POINTS);
    }
    const { used_mem: used } = await stats(daemon);
    expect(Math.abs((used ?? Number.NaN) - memoryPercent())).toBeLessThan(POINTS);
  };
  await check();
  await using _burner = burn();
  await check();
}, 180_000);

test("M3: a burner on all cores shows in used_cpu within three seconds", async () => {
  await using daemon = await startDaemon({ env: { HEARTH_DRIVER: "process" } });
  await using _burner = burn();
  await poll(
    "used_cpu shows the burner",
    async () => {
      const { used_cpu: used = 0 } = await stats(daemon);
      return used > 90 || `used_cpu ${used}`;
    },
    RISE_MS * SLACK,
  );
}, 180_000);

describe.skipIf(reason !== undefined)(`in a container${reason === undefined ? "" : ` (${reason})`}`, () => {
  test("M3: its own limits are the capacity, and its own use is what rises", async () => {
    await using engine = await openPrivateEngine();
    const env = { DOCKER_HOST: `unix://${engine.socketPath}` };
    const docker = (...args: string[]): Promise<string> => outputOf("docker", args, { env });
    await outputOf("sh", [join(root, "scripts/node-base-image.sh"), "hearth-node-base"], { env });
    const port = await freePort();
    const limits = ["--cpus=0.5", "--memory=512m"];
    const doors = [`HEARTH_HTTP_PORT=${port}`, "HEARTH_MONITOR_PORT=0"];
    const settings = [...doors, "HEARTH_STATE_DIR=/tmp/state", "HEARTH_DRIVER=process"];
    const container = await docker(
      ...["run", "-d", "--net=host", ...limits, ...settings.flatMap((one) => ["-e", one])],
      ...["-v", `${root}dist:/app/dist:ro`, "-v", `${root}package.json:/app/package.json:ro`],
      ...["hearth-node-base", "node", "/app/dist/hearth.mjs", "serve"],
    );
    const daemon = { baseUrl: `http://127.0.0.1:${port}` } as Daemon;
    const figures = async (): Promise<Readonly<Record<string, number>>> => await stats(daemon);
    await poll(
      "the daemon in the container is well",
      async () =>
        (await ask(daemon, "/health").then(
          ({ status }) => status === 200,
          () => false,
        )) || docker("logs", container),
      90_000,
    );
    expect(await figures()).toMatchObject({ total_cpu: 0.5, total_mem: 512, task_cpu: 0.5, task_mem: 409 });
    // Asked seldom: half a core is soon busy with answers.
    const used = async (): Promise<number> => {
      await new Promise((resolve) => setTimeout(resolve, 200));
      return (await figures())["used_cpu"] ?? Number.NaN;
    };
    await poll("the daemon has come to rest", async () => (await used()) < 30 || String(await used()));
    await docker("exec", "-d", container, "sh", "-c", "while :; do :; done");
    await poll(
      "used_cpu shows the burner",
      async () => (await used()) > 60 || String(await used()),
      RISE_MS * SLACK,
    );
    const before = (await figures())["used_mem"] ?? Number.NaN;
    await docker(
      "exec",
      "-d",
      container,
      "node",
      "-e",
      "const a = Buffer.alloc(200 << 20, 1); setInterval(() => a[0], 1e6);",
    );
    await poll("used_mem shows 200 of 512 MB", async () => {
      const { used_mem: now = 0 } = await figures();
      return now > before + 35 || `${before} and now ${now}`;
    });
  }, 300_000);
});
