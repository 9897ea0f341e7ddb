import { spawn } from "node:child_process";
import { once } from "node:events";
import { copyFile, mkdir } from "node:fs/promises";
import { loadavg } from "node:os";
import { join } from "node:path";
import { openRedisSource } from "../../src/drivers/queue/index.ts";
import { silentLog } from "../../src/telemetry/index.ts";
import { poll } from "../support/poll.ts";
import type { PrivateRedis } from "../support/private-redis.ts";
import { openPrivateRedis } from "../support/private-redis.ts";
import { ScriptedDoor } from "../support/scripted-jobs.ts";
import { StreamWorld } from "../support/stream-world.ts";
import { BARE_GROUP, openBareLoop } from "./lib/bare-loop.ts";
import type { Bench, BenchOptions, Row } from "./lib/bench.ts";
import { BARE_STREAM, clear, fill, GROUP, howEnded, STREAM, untilOver } from "./lib/job-stream.ts";
import { interleave, median, ratio } from "./lib/rounds.ts";

/** Jobs that each host runs at once, and processes of the bare loop. */
const AT_ONCE = 8;
/** Beyond those, so that a host need not ask for each one alone. */
const AHEAD = 32;
const NOOP = ["/bin/sh", "-c", "true"] as const;
/** Walls such as each job gets, as far as one program makes them: no cgroup, no uid and no network of its own. */
const WALLS = "--unshare-pid --unshare-ipc --unshare-uts --ro-bind / / --proc /proc --dev /dev --tmpfs /tmp";
const WALLED = ["bwrap", ...WALLS.split(" "), "--die-with-parent", ...NOOP] as const;

/**
 * The stream door on real Redis against what it stands on. A job that does nothing is a process that ends at once; the bare loop runs
 * the same process with nothing around it: no folder, no archive in or out, no event, no lease, no limit, no record. Hosts
 * whose engine and store do nothing show what the door itself can do, and how several share one stream.
 */
export const jobs: Bench = {
  name: "jobs",
  summary:
    `no-op jobs through the stream door, ${AT_ONCE} at once: real processes of one daemon against a bare loop that ` +
    "spawns them, and virtual hosts against a bare XREADGROUP and XACK loop",
  async run(options) {
    const rows: Row[] = [await measureProcesses(options)];
    for (const hosts of [1, 3, 10]) rows.push(await measureVirtual(hosts, options));
    return rows;
  },
};

interface Rates {
  readonly bare: readonly number[];
  readonly door: readonly number[];
}

/** A daemon as its operator starts it, with the process driver, a folder as its store and real archives. */
async function measureProcesses({ isQuick }: BenchOptions): Promise<Row> {
  const count = isQuick ? 150 : 400;
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
    for (let index = 1; index <= jobCount; index += 1) {
      const dir = join(world.store, "t", `${round}${index}`);
      await mkdir(dir, { recursive: true });
      await copyFile(join(world.store, "t/model/input.zip"), join(dir, "input.zip"));
    }
    return await rateOf(
      redis,
      jobCount,
      async () => await fill(redis, STREAM, { count: jobCount, round, method: "test.nothing" }),
    );
  };
  await door(AT_ONCE);
  const rates = await interleave(["bare", "walled", "door"], isQuick ? 3 : 5, async (way) => {
    await clear(redis);
    if (way === "door") return await door(count);
    await fill(redis, BARE_STREAM, { count, round: freshRound(), method: "noop" });
    return await bare.work(BARE_STREAM, AT_ONCE, async () => await spawned(way === "bare" ? NOOP : WALLED));
  });
  const walled = {
    walled_per_s: Math.round(median(rates.walled)),
    of_walled: ratio(rates.door, rates.walled),
  };
  return {
    case: "processes of one daemon",
    figures: { ...figuresOf(rates), ...walled, goal: "rate_ratio >= 0.60" },
  };
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
  await door(hosts * AT_ONCE);
  const shares: number[] = [];
  let repeated = 0;
  const rates = await interleave(["bare", "door"], isQuick ? 3 : 5, async (way) => {
    await clear(redis);
    if (way === "door") {
      const rate = await door(count);
      const ended = await howEnded(redis, count);
      repeated += ended.repeated;
      shares.push(furthest([...ended.byHost.values()], count, hosts));
      return rate;
    }
    await fill(redis, BARE_STREAM, { count, round: freshRound(), method: "noop" });
    return await bare.drain(BARE_STREAM, count, 1);
  });
  await Promise.all(doors.map(async (one) => await one[Symbol.asyncDispose]()));
  return {
    case: `${hosts} virtual hosts`,
    figures: {
      ...figuresOf(rates),
      run_twice: repeated,
      furthest_from_even: Number(median(shares).toFixed(2)),
      goal: hosts === 1 ? "-" : "run_twice = 0, furthest_from_even <= 0.20",
    },
  };
}

function figuresOf({ bare, door }: Rates): Row["figures"] {
  return {
    rate_ratio: ratio(door, bare),
    bare_per_s: Math.round(median(bare)),
    door_per_s: Math.round(median(door)),
    load: Number((loadavg()[0] ?? Number.NaN).toFixed(1)),
  };
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

async function spawned([program, ...words]: readonly [string, ...string[]]): Promise<void> {
  const [code] = (await once(spawn(program, words, { stdio: "ignore" }), "exit")) as [number | null];
  if (code !== 0) throw new Error(`a process that does nothing ended with ${code ?? "a signal"}`);
}

async function openHost(redis: PrivateRedis, name: string): Promise<ScriptedDoor> {
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
  const door = await ScriptedDoor.open({ concurrency: AT_ONCE, hostName: name }, { queue, ownerId: name });
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

let rounds = 0;

function freshRound(): string {
  rounds += 1;
  return `r${rounds}-`;
}
