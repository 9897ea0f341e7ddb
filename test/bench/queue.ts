import type { JobSource } from "../../src/core/index.ts";
import { openRedisSource } from "../../src/drivers/queue/index.ts";
import { silentLog } from "../../src/telemetry/index.ts";
import { openPrivateRedis, type PrivateRedis } from "../support/private-redis.ts";
import { BARE_GROUP, type BareLoop, openBareLoop } from "./lib/bare-loop.ts";
import type { Bench, BenchOptions, Row } from "./lib/bench.ts";
import { interleave, median, ratio } from "./lib/rounds.ts";

const STREAM = "bench_requests";
const NEVER = new AbortController().signal;

interface Parts {
  readonly redis: PrivateRedis;
  readonly bare: BareLoop;
  readonly source: JobSource;
}

/**
 * The source of jobs alone, with nothing run: lease, fence, completion record, event and all. The goal is one of whole jobs, which
 * take milliseconds where this takes microseconds; this is to see what of theirs is the queue's.
 */
export const queue: Bench = {
  name: "queue",
  summary: "claim and commit through the Redis source, and a bare XREADGROUP and XACK loop, one host",
  async run(options) {
    await using redis = await openPrivateRedis();
    await using bare = await openBareLoop(redis.port);
    await using source = openRedisSource({
      settings: redis.settings,
      streams: [STREAM],
      group: "hearth",
      consumer: "bench",
      log: silentLog,
    });
    await source.untilUp(AbortSignal.timeout(10_000));
    const parts = { redis, bare, source };
    const rows: Row[] = [];
    for (const count of [1, 10, 100]) rows.push(await compareRates(parts, count, options));
    rows.push(await compareLatencies(parts, options));
    return rows;
  },
};

async function compareRates(parts: Parts, count: number, { isQuick }: BenchOptions): Promise<Row> {
  const jobs = isQuick ? 1000 : 5000;
  const measure = async (way: "bare" | "source"): Promise<number> => {
    await fill(parts.redis, jobs);
    return way === "bare"
      ? await parts.bare.drain(STREAM, jobs, count)
      : await drain(parts.source, jobs, count);
  };
  await measure("bare");
  await measure("source");
  const { bare, source } = await interleave(["bare", "source"], isQuick ? 3 : 7, measure);
  return {
    case: `${count} at a time`,
    figures: {
      rate_ratio: ratio(source, bare),
      bare_per_s: Math.round(median(bare)),
      source_per_s: Math.round(median(source)),
    },
  };
}

async function compareLatencies(parts: Parts, { isQuick }: BenchOptions): Promise<Row> {
  const { redis, bare, source } = parts;
  await empty(redis);
  const figures: Record<"bare" | "source", number[]> = { bare: [], source: [] };
  const send = async (): Promise<unknown> => await redis.ask("XADD", STREAM, "*", "id", freshId());
  for (let round = 0; round < (isQuick ? 50 : 500); round += 1) {
    figures.bare.push(await bare.latencyUs(STREAM, send));
    await empty(redis);
    const waiting = source.claim(1, 5000, NEVER);
    await new Promise((resolve) => setTimeout(resolve, 5));
    const startMs = performance.now();
    const sent = send();
    const [claim] = await waiting;
    figures.source.push((performance.now() - startMs) * 1000);
    await sent;
    if (claim !== undefined) await source.commit(claim, { result: {}, events: [] });
    await empty(redis);
  }
  const at = (values: readonly number[], share: number): number =>
    Math.round(values.toSorted((a, b) => a - b)[Math.floor(values.length * share)] ?? Number.NaN);
  return {
    case: "added to held",
    figures: {
      bare_p50_us: at(figures.bare, 0.5),
      source_p50_us: at(figures.source, 0.5),
      bare_p99_us: at(figures.bare, 0.99),
      source_p99_us: at(figures.source, 0.99),
    },
  };
}

async function drain(source: JobSource, jobs: number, count: number): Promise<number> {
  const startMs = performance.now();
  for (let done = 0; done < jobs; ) {
    const claims = await source.claim(count, 5000, NEVER);
    await Promise.all(
      claims.map(async (claim) => {
        const json = { id: claim.jobId, status: "success" };
        await source.commit(claim, { result: json, events: [{ type: "TaskCompleted", json }] });
      }),
    );
    done += claims.length;
  }
  return jobs / ((performance.now() - startMs) / 1000);
}

let made = 0;

function freshId(): string {
  made += 1;
  return `job-${made}`;
}

/** The same entries for either way, and nothing else on the server. */
async function fill(redis: PrivateRedis, jobs: number): Promise<void> {
  await empty(redis);
  await redis.ask("DEL", "events");
  const script =
    "for i = 1, tonumber(ARGV[2]) do redis.call('XADD', KEYS[1], '*', 'id', ARGV[1] .. '-' .. i, " +
    "'task_dir', 'users/7/k2p9', 'executer_type', 'gromacs', 'method', 'md.gromacs.run_simulation') end";
  await redis.ask("EVAL", script, "1", STREAM, freshId(), `${jobs}`);
}

async function empty(redis: PrivateRedis): Promise<void> {
  await redis.ask("DEL", STREAM);
  await redis.ask("XGROUP", "CREATE", STREAM, "hearth", "0", "MKSTREAM");
  await redis.ask("XGROUP", "CREATE", STREAM, BARE_GROUP, "0");
}
