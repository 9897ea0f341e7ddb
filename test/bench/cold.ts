import { execFile } from "node:child_process";
import type { Daemon } from "../support/start-daemon.ts";
import { startDaemon } from "../support/start-daemon.ts";
import type { Bench, Row } from "./lib/bench.ts";
import type { BenchEngine } from "./lib/bench-engine.ts";
import { openBenchEngine, untilAccepts } from "./lib/bench-engine.ts";
import { interleave, median, ratio } from "./lib/rounds.ts";

const AT_ONCE = 10;
/** Cores, so that ten fit on two. */
const SMALL = 0.2;
const CONFIG = "cpu: 64\nmem: 16384\ntimeout: 30\n";

/** A size that no earlier call had, so that the call is a cold start. */
let lastMb = 16;
const freshSize = (cpu: number): { cpu: number; mem: number } => ({ cpu, mem: ++lastMb });

/** From the request to the answer of a task that has no warm server, against the same container started by others. */
export const cold: Bench = {
  name: "cold",
  summary:
    "from a cold call's arrival to the accept of its task, against `docker run -d` and a bare create + start + answer",
  async run({ isQuick }) {
    await using engine = await openBenchEngine();
    const env = { DOCKER_HOST: engine.host, HEARTH_DRIVER: "docker" };
    await using ahead = await startDaemon({ config: CONFIG, env });
    await using without = await startDaemon({
      config: `${CONFIG}docker:\n  networks_ahead: 0\n  network_range: 10.215.0.0/16\n`,
      env,
    });
    const rounds = isQuick ? 3 : 12;
    const one = await interleave(["run", "bare", "ahead", "without"], rounds, async (variant) => {
      await networksReady(engine, AT_ONCE);
      if (variant === "run") return await timed(() => dockerRun(engine, 1));
      if (variant === "bare") return await timed(() => bareStart(engine));
      const ms = await coldCall(variant === "ahead" ? ahead : without, engine.image, 1);
      await evictAll(ahead);
      await evictAll(without);
      return ms;
    });
    const many = await interleave(["run", "ahead"], isQuick ? 2 : 6, async (variant) => {
      await networksReady(engine, AT_ONCE);
      const start = async (): Promise<number> =>
        variant === "run"
          ? await timed(() => dockerRun(engine, SMALL))
          : await coldCall(ahead, engine.image, SMALL);
      const ms = Math.max(...(await Promise.all(Array.from({ length: AT_ONCE }, start))));
      await evictAll(ahead);
      return ms;
    });
    const slowed = await warmBesideCold(engine, ahead, isQuick ? 2 : 5);
    const row = (
      name: string,
      ms: readonly number[],
      run: readonly number[],
      bare?: readonly number[],
    ): Row => ({
      case: name,
      figures: {
        ms: median(ms),
        of_docker_run: ratio(ms, run),
        ...(bare === undefined ? {} : { of_bare_start: ratio(ms, bare) }),
      },
    });
    return [
      row("docker run -d to first accept", one.run, one.run),
      row("bare create + start + answer", one.bare, one.run, one.bare),
      {
        ...row("cold call, network made ahead", one.ahead, one.run, one.bare),
        goal: { of_docker_run: { atMost: 0.5 } },
      },
      {
        ...row("cold call, no network made ahead", one.without, one.run, one.bare),
        goal: { of_docker_run: { atMost: 1 } },
      },
      row(`${AT_ONCE} x docker run -d, last accept`, many.run, many.run),
      {
        ...row(`${AT_ONCE} cold keys at once, last accept`, many.ahead, many.run),
        goal: { of_docker_run: { atMost: 0.6 } },
      },
      slowed,
    ];
  },
};

/** What a warm task's callers feel while ten others start. */
async function warmBesideCold(engine: BenchEngine, daemon: Daemon, rounds: number): Promise<Row> {
  const size = freshSize(SMALL);
  await call(daemon, engine.image, size);
  const p50 = async (count: number, isOver: () => boolean): Promise<number> => {
    const times: number[] = [];
    for (let at = 0; at < count && !isOver(); at += 1) {
      times.push(await timed(() => call(daemon, engine.image, size)));
    }
    return median(times);
  };
  const results = await interleave(["alone", "beside"], rounds, async (variant) => {
    if (variant === "alone") return await p50(100, () => false);
    let isOver = false;
    const starts = Promise.all(
      Array.from({ length: AT_ONCE }, () => coldCall(daemon, engine.image, 0.1)),
    ).then(() => {
      isOver = true;
    });
    const ms = await p50(10_000, () => isOver);
    await starts;
    return ms;
  });
  return {
    case: `warm call while ${AT_ONCE} others start`,
    figures: {
      ms: median(results.beside),
      alone_ms: median(results.alone),
      of_alone: ratio(results.beside, results.alone),
    },
  };
}

async function timed(work: () => Promise<void>): Promise<number> {
  const startMs = performance.now();
  await work();
  return performance.now() - startMs;
}

async function dockerRun(engine: BenchEngine, cpu: number): Promise<void> {
  const id = await output(engine, "run", "-d", `--cpus=${cpu}`, "--memory=64m", engine.image);
  const address = await output(engine, "inspect", "-f", "{{.NetworkSettings.IPAddress}}", id);
  await untilAccepts(address, 8080);
  removeLater(id);
}

async function bareStart(engine: BenchEngine): Promise<void> {
  const container = await engine.docker.createContainer({
    Image: engine.image,
    HostConfig: { NanoCpus: 1e9, Memory: 64 * 1_048_576 },
  });
  await container.start();
  const { NetworkSettings } = await container.inspect();
  const address = NetworkSettings.Networks["bridge"]?.IPAddress ?? "";
  await untilAccepts(address, 8080);
  const answer = await fetch(`http://${address}:8080/`, { method: "POST", body: "x" });
  await answer.text();
  removeLater(container.id);
}

const leftover = new Set<string>();
function removeLater(id: string): void {
  leftover.add(id);
}

/** @returns how long it took until the task accepted, in milliseconds: what the task itself does then is not counted. */
async function coldCall(daemon: Daemon, image: string, cpu: number): Promise<number> {
  const { mem } = freshSize(cpu);
  const query = `image=${encodeURIComponent(image)}&cpu=${cpu}&mem=${mem}`;
  const answer = await fetch(`${daemon.baseUrl}/v1/calls?${query}`, { method: "POST", body: "x" });
  const text = await answer.text();
  if (answer.headers.get("hearth-start") !== "cold") throw new Error(`not a cold call: ${text}`);
  return Number(answer.headers.get("hearth-waited-ms"));
}

async function call(daemon: Daemon, image: string, resource: { cpu: number; mem: number }): Promise<void> {
  const answer = await fetch(daemon.baseUrl, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ id: image, resource, input: "x" }),
  });
  const { success, msg } = (await answer.json()) as { success: boolean; msg: string };
  if (!success) throw new Error(msg);
}

async function evictAll(daemon: Daemon): Promise<void> {
  const list = (await (await fetch(`${daemon.baseUrl}/v1/sandboxes`)).json()) as {
    sandboxes: { id: string }[];
  };
  await Promise.all(
    list.sandboxes.map(({ id }) =>
      fetch(`${daemon.baseUrl}/v1/sandboxes/${id}?force=true`, { method: "DELETE" }),
    ),
  );
}

/** Nothing of the last round goes on: what it left is removed, and the networks are made again. */
async function networksReady(engine: BenchEngine, count: number): Promise<void> {
  if (leftover.size > 0) {
    await output(engine, "rm", "-f", ...leftover);
    leftover.clear();
  }
  for (let tries = 0; tries < 300; tries += 1) {
    if (tries === 299) process.stderr.write("cold: the networks are not ready; going on without\n");
    const filters = JSON.stringify({ name: ["hearth_net_"], status: ["running"] });
    const ready = await engine.docker.listContainers({ filters });
    const tasks = await engine.docker.listContainers({ filters: JSON.stringify({ name: ["mecanywhere_"] }) });
    if (ready.length - tasks.length >= count) break;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  await new Promise((resolve) => setTimeout(resolve, 200));
}

function output(engine: BenchEngine, ...args: string[]): Promise<string> {
  return new Promise((resolve, reject) => {
    execFile("docker", ["-H", engine.host, ...args], (error, stdout) => {
      if (error === null) resolve(stdout.trim());
      else reject(new Error(`docker ${args.join(" ")}`, { cause: error }));
    });
  });
}
