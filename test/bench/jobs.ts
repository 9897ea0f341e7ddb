import { openRedisSource } from "../../src/drivers/queue/index.ts";
import { silentLog } from "../../src/telemetry/index.ts";
import { poll } from "../support/poll.ts";
import type { PrivateRedis } from "../support/private-redis.ts";
import { openPrivateRedis } from "../support/private-redis.ts";
import { ScriptedDoor } from "../support/scripted-jobs.ts";
import { BARE_GROUP, openBareLoop } from "./lib/bare-loop.ts";
import type { Bench, BenchOptions, Row } from "./lib/bench.ts";

const STREAM = "shell_requests";
const GROUP = "all_consumers";
/** Of each host: enough that none waits for its own round trips. */
const CONCURRENCY = 16;

/**
 * The whole stream door on real Redis, with virtual hosts: all of them in this process, their engine and store do nothing, so
 * that what is measured is the door, its leases, fences, events and work folders.
 */
export const jobs: Bench = {
  name: "jobs",
  summary:
    "no-op jobs through the stream door of 1, 3 and 10 virtual hosts, and a bare XREADGROUP and XACK loop",
  async run(options) {
    const rows: Row[] = [];
    for (const hosts of [1, 3, 10]) rows.push(await measure(hosts, options));
    return rows;
  },
};

async function measure(hosts: number, { isQuick }: BenchOptions): Promise<Row> {
  await using redis = await openPrivateRedis();
  const count = isQuick ? 500 : 3000;
  const bare = await bareRate(redis, count);
  await fill(redis, count, GROUP);
  const startMs = performance.now();
  const doors = await Promise.all(
    Array.from({ length: hosts }, (_, index) => openHost(redis, `host${index}`)),
  );
  await poll(
    "every job is over",
    async () => {
      const ended = await endings(redis);
      return ended.length === count || String(ended.length);
    },
    120_000,
  );
  const rate = count / ((performance.now() - startMs) / 1000);
  const shares = doors.map((door) => door.jobs.length);
  const ids = new Set(doors.flatMap((door) => door.jobs.map(({ mark }) => mark.jobId)));
  await Promise.all(doors.map(async (door) => await door[Symbol.asyncDispose]()));
  const mean = count / hosts;
  return {
    case: `${hosts} hosts`,
    figures: {
      rate_ratio: Number((rate / bare).toFixed(2)),
      bare_per_s: Math.round(bare),
      door_per_s: Math.round(rate),
      run_twice: shares.reduce((sum, share) => sum + share, 0) - ids.size,
      furthest_from_even: Number(
        (Math.max(...shares.map((share) => Math.abs(share - mean))) / mean).toFixed(2),
      ),
      goal: hosts === 1 ? "rate_ratio >= 0.60" : "run_twice = 0, furthest_from_even <= 0.20",
    },
  };
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
  const door = await ScriptedDoor.open(
    { concurrency: CONCURRENCY, hostName: name },
    { queue, ownerId: name },
  );
  door.endsAtOnce = true;
  return door;
}

async function bareRate(redis: PrivateRedis, count: number): Promise<number> {
  await using loop = await openBareLoop(redis.port);
  await fill(redis, count, BARE_GROUP);
  const rate = await loop.drain(STREAM, count, 1);
  await redis.ask("DEL", STREAM);
  return rate;
}

async function fill(redis: PrivateRedis, count: number, group: string): Promise<void> {
  await redis.ask("XGROUP", "CREATE", STREAM, group, "0", "MKSTREAM");
  for (let index = 0; index < count; index += 1) {
    const id = `job${index}`;
    const fields = ["id", id, "task_dir", `t/${id}`, "executer_type", "shell", "method", "noop"];
    await redis.ask("XADD", STREAM, "*", ...fields);
  }
}

async function endings(redis: PrivateRedis): Promise<readonly unknown[]> {
  const rows = (await redis.ask("XRANGE", "events", "-", "+")) as [string, string[]][];
  return rows.filter(([, fields]) => fields.includes("TaskCompleted"));
}
