import { spawn } from "node:child_process";
import { once } from "node:events";
import { copyFile, mkdir } from "node:fs/promises";
import { loadavg } from "node:os";
import { join } from "node:path";
import type { StreamDoorOptions } from "../../src/doors/stream/door-options.ts";
import { openArtifactStore } from "../../src/drivers/artifacts/index.ts";
import { openRedisSource } from "../../src/drivers/queue/index.ts";
import { zipArchiverBy } from "../../src/std/archive/index.ts";
import { looksBelow } from "../../src/std/files/index.ts";
import { silentLog } from "../../src/telemetry/index.ts";
import { poll } from "../support/poll.ts";
import type { PrivateRedis } from "../support/private-redis.ts";
import { openPrivateRedis } from "../support/private-redis.ts";
import { ScriptedDoor } from "../support/scripted-jobs.ts";
import { StreamWorld } from "../support/stream-world.ts";
import type { BareLoop } from "./lib/bare-loop.ts";
import { BARE_GROUP, openBareLoop } from "./lib/bare-loop.ts";
import type { Bench, BenchOptions, Row } from "./lib/bench.ts";
import type { Round } from "./lib/job-rounds.ts";
import { against, freshRound, measureRound, redisPid } from "./lib/job-rounds.ts";
import { BARE_STREAM, clear, fill, GROUP, howEnded, STREAM, untilOver } from "./lib/job-stream.ts";
import { interleave, median } from "./lib/rounds.ts";

/** Jobs that each host runs at once, and processes of the bare loop: enough to keep two cores busy while some wait for the disk. */
const AT_ONCE = 16;
/** Beyond those, so that a host need not ask for each one alone. */
const AHEAD = 32;
/** Jobs before the first round, and in each; see {@link jobs}. */
const WARM_UP = 3000;
const QUICK_WARM_UP = 600;
const ROUND = 600;
const QUICK_ROUND = 300;
/** A part for each job that runs, and for each whose folder is on its way out; the default of tests has two. */
const DISK = { reserveBytes: 1, jobBytes: undefined, parts: 2 * AT_ONCE };
const NOOP = ["/bin/sh", "-c", "true"] as const;
/** Walls such as each job gets, as far as one program makes them: no cgroup, no uid and no network of its own. */
const WALLS = "--unshare-pid --unshare-ipc --unshare-uts --ro-bind / / --proc /proc --dev /dev --tmpfs /tmp";
const WALLED = ["bwrap", ...WALLS.split(" "), "--die-with-parent", ...NOOP] as const;

/**
 * The stream door on real Redis against what it stands on. A job that does nothing is a process that ends at once; the bare loop runs
 * the same process with nothing around it: no folder, no archive in or out, no event, no lease, no limit, no record; and once more
 * within walls such as each job gets. A door whose engine does nothing, with real files, is what we add to a job beside its
 * sandbox; doors whose store does nothing either show how several share one stream, against a loop that only reads and acknowledges.
 *
 * The first jobs of a program measure its compiler: the daemon's take twice the CPU of its later ones, and only after some two
 * thousand is the code that they run the code that all others will. Daemons live for weeks; so each way does 3000 jobs before the
 * first round, the bare loops too (a quick run 600), and a round is long enough that what it begins and ends with is little of it.
 *
 * Rates need a machine that does nothing else. CPU per job hardly does: `program_ms` is the daemon's own (with all its threads),
 * `children_ms` that of the processes that it starts, `redis_ms` that of Redis; `cpu_ratio` compares the sums.
 */
export const jobs: Bench = {
  name: "jobs",
  summary:
    `no-op jobs through the stream door, ${AT_ONCE} at once: real processes of one daemon against a bare loop that ` +
    "spawns them, and virtual hosts against a bare XREADGROUP and XACK loop",
  async run(options) {
    const rows: Row[] = [...(await measureProcesses(options)), await measureFiles(options)];
    for (const hosts of [1, 3, 10]) rows.push(await measureVirtual(hosts, options));
    return rows;
  },
};

/** A daemon as its operator starts it, with the process driver, a folder as its store and real archives. */
async function measureProcesses({ isQuick }: BenchOptions): Promise<readonly Row[]> {
  const count = isQuick ? QUICK_ROUND : ROUND;
  await using world = await StreamWorld.open();
  const { redis } = world;
  await using bare = await openBareLoop(redis.port);
  await openGroups(redis);
  await world.writeInput("model");
  const env = { HEARTH_STREAM_CONCURRENCY: `${AT_ONCE}`, HEARTH_STREAM_CLAIM_AHEAD: `${AHEAD}` };
  const host = await world.startHost("bench", "", { env });
  await untilConsumed(redis, () => host.log());
  const door = async (jobCount: number): Promise<number> => {
    const round = freshRound();
    await writeInputs(world.store, round, jobCount);
    return await rateOf(
      redis,
      jobCount,
      async () => await fill(redis, STREAM, { count: jobCount, round, method: "test.nothing" }),
    );
  };
  const loop = async (way: "bare" | "walled", jobCount: number): Promise<number> => {
    await fill(redis, BARE_STREAM, { count: jobCount, round: freshRound(), method: "noop" });
    const run = async (): Promise<void> => await spawned(way === "bare" ? NOOP : WALLED);
    return await bare.work(BARE_STREAM, AT_ONCE, run);
  };
  await door(warmUpOf(isQuick));
  for (const way of ["bare", "walled"] as const) await loop(way, warmUpOf(isQuick));
  const daemon = { pid: host.child.pid ?? Number.NaN, redisPid: await redisPid(redis) };
  const own = { ...daemon, pid: process.pid, others: [daemon.pid] };
  const rounds = await interleave(["bare", "walled", "door"], isQuick ? 3 : 5, async (way) => {
    await clear(redis);
    if (way === "door") return await measureRound(daemon, count, async () => await door(count));
    return await measureRound(own, count, async () => await loop(way, count));
  });
  const row = (what: string, bareRounds: readonly Round[]): Row => ({
    case: `processes of one daemon, ${what}`,
    figures: { ...against(bareRounds, rounds.door), load: load() },
    goal: { rate_ratio: { atLeast: 0.6 } },
  });
  return [row("bare spawn", rounds.bare), row("spawn in walls", rounds.walled)];
}

/** A door of this process with real files in and out, whose engine does nothing: what a job costs beside its sandbox. */
async function measureFiles({ isQuick }: BenchOptions): Promise<Row> {
  const count = isQuick ? QUICK_ROUND : ROUND;
  await using world = await StreamWorld.open();
  await using bare = await openBareLoop(world.redis.port);
  const { redis } = world;
  await openGroups(redis);
  await world.writeInput("model");
  const store = await openArtifactStore(world.store, { setting: "artifact_store" });
  const archiver = zipArchiverBy(await looksBelow(world.folder));
  const host = await openHost(redis, "files", { store, archiver }, AHEAD);
  const programs = { pid: process.pid, redisPid: await redisPid(redis) };
  const door = async (jobCount: number): Promise<Round> => {
    const round = freshRound();
    await writeInputs(world.store, round, jobCount);
    const send = async (): Promise<void> =>
      await fill(redis, STREAM, { count: jobCount, round, method: "noop" });
    return await measureRound(programs, jobCount, async () => await rateOf(redis, jobCount, send));
  };
  const drain = drainer(redis, bare);
  await door(warmUpOf(isQuick));
  await drain(warmUpOf(isQuick));
  const rounds = await interleave(["bare", "door"], isQuick ? 3 : 5, async (way) => {
    await clear(redis);
    if (way === "door") return await door(count);
    return await measureRound(programs, count, async () => await drain(count));
  });
  await host[Symbol.asyncDispose]();
  await store[Symbol.asyncDispose]();
  return {
    case: "the door with files",
    figures: { ...against(rounds.bare, rounds.door), load: load() },
    goal: { program_ms: { atMost: 3 } },
  };
}

function warmUpOf(isQuick: boolean): number {
  return isQuick ? QUICK_WARM_UP : WARM_UP;
}

/** A folder with the same small input for each job of a round. */
async function writeInputs(store: string, round: string, count: number): Promise<void> {
  for (let index = 1; index <= count; index += 1) {
    const dir = join(store, "t", `${round}${index}`);
    await mkdir(dir, { recursive: true });
    await copyFile(join(store, "t/model/input.zip"), join(dir, "input.zip"));
  }
}

/** Doors in this process whose engine, archives and store do nothing. */
async function measureVirtual(hosts: number, { isQuick }: BenchOptions): Promise<Row> {
  const count = isQuick ? 500 : 3000;
  await using redis = await openPrivateRedis();
  await using bare = await openBareLoop(redis.port);
  await openGroups(redis);
  const doors = await Promise.all(
    Array.from({ length: hosts }, (_, index) => openHost(redis, `host${index}`)),
  );
  const door = async (jobCount: number): Promise<number> =>
    await rateOf(
      redis,
      jobCount,
      async () => await fill(redis, STREAM, { count: jobCount, round: freshRound(), method: "noop" }),
    );
  const drain = drainer(redis, bare);
  await door(warmUpOf(isQuick));
  await drain(warmUpOf(isQuick));
  const shares: number[] = [];
  let repeated = 0;
  const programs = { pid: process.pid, redisPid: await redisPid(redis) };
  const rounds = await interleave(["bare", "door"], isQuick ? 3 : 5, async (way) => {
    await clear(redis);
    if (way === "door") {
      const round = await measureRound(programs, count, async () => await door(count));
      const ended = await howEnded(redis, count);
      repeated += ended.repeated;
      shares.push(furthest([...ended.byHost.values()], count, hosts));
      return round;
    }
    return await measureRound(programs, count, async () => await drain(count));
  });
  await Promise.all(doors.map(async (one) => await one[Symbol.asyncDispose]()));
  return {
    case: `${hosts} virtual hosts`,
    figures: {
      ...against(rounds.bare, rounds.door),
      load: load(),
      run_twice: repeated,
      furthest_from_even: Number(median(shares).toFixed(2)),
    },
    ...(hosts === 1 ? {} : { goal: { run_twice: { exactly: 0 }, furthest_from_even: { atMost: 0.2 } } }),
  };
}

/** The loop that only reads and acknowledges. */
function drainer(redis: PrivateRedis, bare: BareLoop): (jobCount: number) => Promise<number> {
  return async (jobCount) => {
    await fill(redis, BARE_STREAM, { count: jobCount, round: freshRound(), method: "noop" });
    return await bare.drain(BARE_STREAM, jobCount, 1);
  };
}

function load(): number {
  return Number((loadavg()[0] ?? Number.NaN).toFixed(1));
}

/** How far the host with the most or the least is from an even share, as a part of that share. */
function furthest(shares: readonly number[], count: number, hosts: number): number {
  const even = count / hosts;
  const all = [...shares, ...Array.from({ length: hosts - shares.length }, () => 0)];
  return Math.max(...all.map((share) => Math.abs(share - even))) / even;
}

async function rateOf(redis: PrivateRedis, count: number, send: () => Promise<void>): Promise<number> {
  await clear(redis);
  const startMs = performance.now();
  await send();
  await untilOver(redis, count);
  const rate = count / ((performance.now() - startMs) / 1000);
  await howEnded(redis, count);
  return rate;
}

/** Tried again, as walls that show the whole file system cannot be made while somebody else's mount goes away. */
async function spawned([program, ...words]: readonly [string, ...string[]]): Promise<void> {
  let code: number | null = null;
  for (let tries = 0; tries < 3 && code !== 0; tries += 1) {
    [code] = (await once(spawn(program, words, { stdio: "ignore" }), "exit")) as [number | null];
  }
  if (code !== 0) throw new Error(`a process that does nothing ended with ${code ?? "a signal"}`);
}

async function openHost(
  redis: PrivateRedis,
  name: string,
  more: Partial<StreamDoorOptions> = {},
  claimAhead = 0,
): Promise<ScriptedDoor> {
  const source = openRedisSource({
    settings: redis.settings,
    streams: [STREAM],
    group: GROUP,
    consumer: name,
    log: silentLog,
  });
  const queue = {
    ready: async (signal: AbortSignal) => await source.untilUp(signal),
    open: () => Promise.resolve(source),
  };
  const door = await ScriptedDoor.open(
    { concurrency: AT_ONCE, claimAhead, hostName: name, disk: DISK },
    { queue, ownerId: name, ...more },
  );
  door.endsAtOnce = true;
  return door;
}

async function openGroups(redis: PrivateRedis): Promise<void> {
  await redis.ask("XGROUP", "CREATE", STREAM, GROUP, "0", "MKSTREAM");
  await redis.ask("XGROUP", "CREATE", BARE_STREAM, BARE_GROUP, "0", "MKSTREAM");
}

async function untilConsumed(redis: PrivateRedis, log: () => string): Promise<void> {
  await poll("the host asks for jobs", async () => {
    const alive = (await redis.ask("KEYS", "*:alive:*")) as readonly string[];
    return alive.length > 0 || log().slice(-500);
  });
}
