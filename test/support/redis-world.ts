import type { JobEvent, Log } from "../../src/core/index.ts";
import type { RedisSettings, RedisSource, RedisSourceOptions } from "../../src/drivers/queue/index.ts";
import { openRedisFleet, openRedisSource } from "../../src/drivers/queue/index.ts";
import { silentLog } from "../../src/telemetry/index.ts";
import {
  LEASE_MS,
  LONG_LEASE_MS,
  type QueueWorld,
  STREAM_A,
  STREAM_B,
} from "../conformance/job-source/world.ts";
import { poll } from "./poll.ts";
import type { PrivateRedis } from "./private-redis.ts";

export const GROUP = "all_consumers";

/** Scaled down, so that a fault is noticed while a test waits for it. */
export const QUICK = {
  commandMs: 1000,
  blockGraceMs: 800,
  silenceMs: 500,
  retryFirstMs: 50,
  retryMaxMs: 500,
};

/** Where there is no fault to be noticed: a machine that stands still for a while is none. */
export const PATIENT = { ...QUICK, commandMs: 60_000, blockGraceMs: 60_000, silenceMs: 60_000 };

export interface HostOptions extends Partial<Omit<RedisSourceOptions, "limits">> {
  readonly settings: RedisSettings;
  readonly limits?: RedisSourceOptions["limits"];
  readonly log?: Log;
}

/** A host on a real Redis, with a short lease. */
export function redisHost(consumer: string, options: HostOptions): RedisSource {
  return openRedisSource({
    streams: [STREAM_A, STREAM_B],
    group: GROUP,
    consumer,
    log: silentLog,
    times: QUICK,
    ...options,
    limits: { leaseMs: LEASE_MS, ...options.limits },
  });
}

/** How a test reaches Redis beside the product: by one server's connection, or by a cluster's. */
export type Ask = (...args: readonly string[]) => Promise<unknown>;

export async function eventsIn(ask: Ask): Promise<readonly JobEvent[]> {
  const rows = (await ask("XRANGE", "events", "-", "+")) as [string, string[]][];
  return rows.map(([, [, type = "", , json = "{}"]]) => ({
    type,
    json: JSON.parse(json) as Record<string, unknown>,
  }));
}

/** How many entries of the group are pending on a stream. */
export async function pendingIn(ask: Ask, stream: string): Promise<number> {
  const summary = (await ask("XPENDING", stream, GROUP).catch(() => [0])) as [number];
  return summary[0];
}

export interface RedisWorldOptions {
  readonly settings: RedisSettings;
  readonly ask: Ask;
  /** Empties the queue, or ends the server. */
  readonly close: () => Promise<void>;
  readonly leaseMs?: number | undefined;
}

/** The world of the conformance suite, on a real Redis. */
export function redisWorld({ settings, ask, close, leaseMs = LONG_LEASE_MS }: RedisWorldOptions): QueueWorld {
  const opened: AsyncDisposable[] = [];
  return {
    async open(consumer) {
      const source = redisHost(consumer, { settings, times: PATIENT, limits: { leaseMs } });
      opened.push(source);
      await source.untilUp(AbortSignal.timeout(60_000));
      return source;
    },
    async openFleet(lifeMs) {
      const board = openRedisFleet({ settings, lifeMs, times: PATIENT });
      opened.push(board);
      await poll("the board answers", () =>
        board.hosts(AbortSignal.timeout(60_000)).then(() => true as const, String),
      );
      return board;
    },
    add: async (stream, fields) =>
      String(await ask("XADD", stream, "*", ...Object.entries(fields).flat(), "x", "")),
    delete: async (stream, entryId) => {
      await ask("XDEL", stream, entryId);
    },
    send: async (jobId, message) => {
      await ask("LPUSH", `task:${jobId}:commands`, message);
    },
    events: async () => await eventsIn(ask),
    held: async () => (await pendingIn(ask, STREAM_A)) + (await pendingIn(ask, STREAM_B)),
    async [Symbol.asyncDispose]() {
      for (const one of opened.reverse()) await one[Symbol.asyncDispose]();
      await close();
    },
  };
}

export function worldOn(redis: PrivateRedis, leaseMs?: number): QueueWorld {
  return redisWorld({
    settings: redis.settings,
    ask: redis.ask,
    leaseMs,
    close: async () => {
      await redis.ask("FLUSHALL");
    },
  });
}
