import { connect } from "node:net";
import { expect, test } from "vitest";
import type { Claim, JobSource } from "../../src/core/index.ts";
import { REDIS_TIMES, type RedisSource } from "../../src/drivers/queue/index.ts";
import { sleep } from "../../src/std/index.ts";
import {
  claimOne,
  completed,
  LEASE_MS,
  STREAM_A,
  STREAM_B,
  signal,
} from "../conformance/job-source/world.ts";
import { kept } from "../support/kept.ts";
import { poll } from "../support/poll.ts";
import { openPrivateRedis } from "../support/private-redis.ts";
import { type Ask, eventsIn, GROUP, pendingIn, QUICK, redisHost } from "../support/redis-world.ts";
import { openTcpProxy } from "../support/tcp-proxy.ts";

/** How long Redis stands still, by the row's own words. */
const STANDSTILL_MS = 30_000;
/** How often a host that is cut off may knock in a minute, by the row's own words, with the pauses that it has by itself. */
const KNOCKS_A_MINUTE = 30;
/** How soon it notices, by the row's own words. */
const NOTICED_MS = 15_000;
/** Where a host has to keep what it holds: half of it is more than a slow machine is late. */
const LONG_LEASE_MS = 6000;

test("F1: while Redis stands still jobs go on, and what was said meanwhile is heard afterwards, once", async () => {
  const redis = kept(await openPrivateRedis());
  const host = kept(redisHost("h1", { settings: redis.settings }));
  for (let at = 0; at < 5; at += 1) await redis.ask("XADD", STREAM_A, "*", "id", `j${at}`);
  const claims = await untilClaimed(host, 5);
  await redis.standStill();
  const said = claims.map(async (claim) => {
    const isHeard = await host.publish([{ type: "TaskStarted", json: { id: claim.jobId } }], claim);
    return [isHeard, await host.commit(claim, completed(claim.jobId))];
  });
  await poll("the host notices", () => host.state.type === "away" || host.state.type);
  expect(host.figures.buffered).toBeGreaterThan(0);
  // Nobody is known to be lost by a queue that says nothing, however long.
  const untilMs = performance.now() + STANDSTILL_MS;
  while (performance.now() < untilMs) {
    expect(await host.renew(claims)).toEqual([]);
    await sleep(500);
  }
  redis.goOn();
  expect(await Promise.all(said)).toEqual(claims.map(() => [true, "committed"]));
  const events = await eventsIn(redis.ask);
  for (const { jobId } of claims) {
    const own = events.filter(({ json }) => json["id"] === jobId).map(({ type }) => type);
    expect(own).toEqual(["TaskStarted", "TaskCompleted"]);
  }
  expect(await pendingIn(redis.ask, STREAM_A)).toBe(0);
  expect(await host.claim(1, 300, signal())).toEqual([]);
  expect(host.figures.buffered).toBe(0);
}, 180_000);

test("a host that stood still itself does not take that for the silence of Redis", async () => {
  const redis = kept(await openPrivateRedis());
  const host = kept(redisHost("h1", { settings: redis.settings }));
  await host.untilUp(signal());
  await redis.standStill();
  const said = host.publish([{ type: "E", json: {} }]);
  // It is on its way, and its answer is not overdue yet.
  await sleep(QUICK.commandMs / 10);
  redis.goOn();
  standStill(QUICK.commandMs * 3);
  expect(await said).toBe(true);
  expect(host.figures.reconnects).toBe(0);
});

test("F1: of two hosts neither takes the other's entries because Redis stood still", async () => {
  const redis = kept(await openPrivateRedis());
  const limits = { leaseMs: LONG_LEASE_MS };
  const [one, two] = ["h1", "h2"].map((name) => kept(redisHost(name, { settings: redis.settings, limits })));
  await redis.ask("XADD", STREAM_A, "*", "id", "j");
  const claim = await claimOne(one!);
  const stop = new AbortController();
  const renewing = renewUntil(one!, [claim], stop.signal, LONG_LEASE_MS);
  const others: Claim[] = [];
  const claiming = (async () => {
    while (!stop.signal.aborted) others.push(...(await two!.claim(1, 200, signal())));
  })();
  for (let round = 0; round < 2; round += 1) {
    await redis.standStill();
    await sleep(LONG_LEASE_MS * 1.5);
    redis.goOn();
    await sleep(LONG_LEASE_MS * 1.5);
  }
  stop.abort();
  await Promise.all([renewing, claiming]);
  expect(others).toEqual([]);
  expect(await one!.commit(claim, completed("j"))).toBe("committed");
}, 180_000);

test("F1: whoever comes back late from a standstill of Redis renews at once, before its next renewal is due", async () => {
  const redis = kept(await openPrivateRedis());
  const limits = { leaseMs: LONG_LEASE_MS };
  const proxy = kept(await openTcpProxy(redis.port));
  const settings = { type: "single", address: { host: "127.0.0.1", port: proxy.port } } as const;
  const late = kept(redisHost("h1", { settings, limits }));
  await redis.ask("XADD", STREAM_A, "*", "id", "j");
  const claim = await claimOne(late);
  proxy.reset();
  await redis.ask("DEL", `hearth:alive:${GROUP}:h1`);
  await poll(
    "it is alive again",
    async () => (await redis.ask("EXISTS", `hearth:alive:${GROUP}:h1`)) === 1 || "not yet",
  );
  expect(late.figures.reconnects).toBeGreaterThan(0);
  expect(await late.commit(claim, completed("j"))).toBe("committed");
});

test("I12: a host that was full for many leases takes what a dead one held before what is new", async () => {
  const redis = kept(await openPrivateRedis());
  const { settings } = redis;
  const dead = kept(redisHost("h1", { settings }));
  await redis.ask("XADD", STREAM_A, "*", "id", "left");
  await claimOne(dead);
  await dead[Symbol.asyncDispose]();
  const full = kept(redisHost("h2", { settings }));
  await redis.ask("XADD", STREAM_B, "*", "id", "mine");
  const mine = await claimOne(full);
  for (let i = 0; i < 3; i += 1) await redis.ask("XADD", STREAM_A, "*", "id", `new${i}`);
  for (let i = 0; i < 40; i += 1) {
    expect(await full.renew([mine])).toEqual([]);
    await sleep(LEASE_MS / 3);
  }
  expect((await claimOne(full)).jobId).toBe("left");
}, 180_000);

test("F2: Redis is killed and comes back with its data: no job is lost, none completed twice", async () => {
  const redis = kept(await openPrivateRedis({ hasAof: true }));
  const hosts = ["h1", "h2"].map((name) => kept(redisHost(name, { settings: redis.settings })));
  const stop = new AbortController();
  const done: string[] = [];
  const working = hosts.map(async (host) => {
    while (!stop.signal.aborted) {
      const claims = await host.claim(2, 200, signal());
      await sleep(10);
      for (const claim of claims) {
        const result = await host.commit(claim, completed(claim.jobId));
        if (result === "committed") done.push(claim.jobId);
      }
    }
  });
  const sent: string[] = [];
  for (let round = 0; round < 4; round += 1) {
    for (let at = 0; at < 25; at += 1) {
      const id = `r${round}-${at}`;
      await redis.ask("XADD", STREAM_A, "*", "id", id);
      sent.push(id);
    }
    await sleep(100);
    await redis.stop("SIGKILL");
    await sleep(200);
    await redis.start();
  }
  await poll("all are done", () => done.length >= sent.length || `${done.length} of ${sent.length}`);
  stop.abort();
  await Promise.all(working);
  expect(done.toSorted()).toEqual(sent.toSorted());
  const ended = (await eventsIn(redis.ask)).map(({ json }) => json["id"]);
  expect(ended.toSorted()).toEqual(sent.toSorted());
  expect(await pendingIn(redis.ask, STREAM_A)).toBe(0);
  // One may have waited for its next try while the other did all.
  await poll("both came back", () => hosts.every(({ figures }) => figures.reconnects > 0) || "not yet");
  expect(hosts[0]!.figures.emptied).toBe(0);
}, 180_000);

test("F3: Redis comes back empty: said loudly once, new jobs flow, and what ran is completed", async () => {
  const redis = kept(await openPrivateRedis());
  const lines: string[] = [];
  const log = { log: (level: string, event: string) => void lines.push(`${level} ${event}`) };
  const host = kept(redisHost("h1", { settings: redis.settings, log }));
  for (const id of ["runs", "ends while away"]) await redis.ask("XADD", STREAM_A, "*", "id", `${id[0]}`);
  const [runs, ends] = await untilClaimed(host, 2);
  await redis.stop("SIGKILL");
  const said = host.commit(ends!, completed("e"));
  await redis.start();
  expect(await said).toBe("committed");
  await redis.ask("XADD", STREAM_A, "*", "id", "new");
  const fresh = await claimOne(host);
  expect(fresh.jobId).toBe("new");
  expect(await host.renew([runs!, fresh])).toEqual([]);
  expect(await host.commit(runs!, completed("r"))).toBe("committed");
  expect(await host.commit(fresh, completed("new"))).toBe("committed");
  expect((await eventsIn(redis.ask)).map(({ json }) => json["id"])).toEqual(["e", "r", "new"]);
  expect(lines.filter((line) => line === "error queue.emptied")).toHaveLength(1);
  expect(host.figures.emptied).toBe(1);
});

test("F3: a queue that is flushed under way is made anew, and says so", async () => {
  const redis = kept(await openPrivateRedis());
  const host = kept(redisHost("h1", { settings: redis.settings }));
  expect(await host.claim(1, 200, signal())).toEqual([]);
  const waiting = claimOne(host);
  await redis.ask("FLUSHALL");
  await redis.ask("XADD", STREAM_A, "*", "id", "after");
  expect((await waiting).jobId).toBe("after");
  expect(host.figures.emptied).toBe(1);
});

test("F5: a connection that is cut silently is noticed, and what was on its way arrives once", async () => {
  const redis = kept(await openPrivateRedis());
  const proxy = kept(await openTcpProxy(redis.port));
  const settings = { type: "single", address: { host: "127.0.0.1", port: proxy.port } } as const;
  const host = kept(redisHost("h1", { settings }));
  await redis.ask("XADD", STREAM_A, "*", "id", "j1");
  await redis.ask("XADD", STREAM_A, "*", "id", "j2");
  const [first, second] = await untilClaimed(host, 2);
  const waiting = host.claim(1, 120_000, signal());
  proxy.freeze();
  const said = host.commit(first!, completed("j1"));
  await poll("it is noticed", () => host.state.type === "away" || host.state.type);
  expect(await host.renew([second!])).toEqual([]);
  const before = proxy.connections;
  await sleep(3000);
  // It tries again with growing pauses, each of its connections for itself.
  expect(proxy.connections - before).toBeLessThan(20);
  proxy.heal();
  expect(await said).toBe("committed");
  expect(await host.commit(second!, completed("j2"))).toBe("committed");
  await redis.ask("XADD", STREAM_A, "*", "id", "j3");
  expect((await waiting)[0]?.jobId).toBe("j3");
  expect((await eventsIn(redis.ask)).map(({ json }) => json["id"])).toEqual(["j1", "j2"]);
}, 180_000);

test("F5: cut off, a host with its usual pauses notices within 15 seconds, and knocks 30 times a minute at most", async () => {
  const redis = kept(await openPrivateRedis());
  const proxy = kept(await openTcpProxy(redis.port));
  const settings = { type: "single", address: { host: "127.0.0.1", port: proxy.port } } as const;
  const host = kept(redisHost("h1", { settings, times: REDIS_TIMES }));
  await host.untilUp(signal());
  const stop = new AbortController();
  const waiting = host.claim(1, 300_000, stop.signal).catch(() => undefined);
  proxy.freeze();
  // Silent at first, then asked for a sign of life, and looked at four times in each.
  const { silenceMs, commandMs } = REDIS_TIMES;
  expect((silenceMs + commandMs) * 1.25).toBeLessThanOrEqual(NOTICED_MS);
  await poll("it is noticed", () => host.state.type === "away" || host.state.type);
  const before = proxy.connections;
  await sleep(60_000);
  expect(proxy.connections - before).toBeGreaterThan(0);
  expect(proxy.connections - before).toBeLessThanOrEqual(KNOCKS_A_MINUTE);
  proxy.heal();
  stop.abort();
  await waiting;
}, 240_000);

test.each(["goes-on", "anew"] as const)(
  "F5: the answers to a host that comes back are lost: what it had is its own all the same, and %s once",
  async (how) => {
    const redis = kept(await openPrivateRedis());
    const proxy = kept(await openTcpProxy(redis.port));
    const settings = { type: "single", address: { host: "127.0.0.1", port: proxy.port } } as const;
    const limits = { leaseMs: 60_000 };
    const before = kept(redisHost("h1", { settings, limits }));
    await redis.ask("XADD", STREAM_A, "*", "id", "j1");
    const first = await claimOne(before);
    await before[Symbol.asyncDispose]();
    // So that the server knows the script by its name, and carries out what is swallowed below.
    const other = kept(redisHost("h2", { settings, limits }));
    expect(await other.resume(first, "goes-on")).toBeUndefined();

    const after = kept(redisHost("h1", { settings, limits }));
    await after.untilUp(signal());
    const swallowed: string[] = [];
    const beside = connect(redis.port, "127.0.0.1");
    const swallow = (word: string): void => {
      proxy.answer((chunk) => {
        if (!chunk.includes(word)) return undefined;
        proxy.answer(undefined);
        swallowed.push(word);
        beside.write(chunk, "latin1");
        return "";
      });
    };
    swallow('"own":true');
    const own = await claimOne(after);
    expect(own).toMatchObject({ jobId: "j1", attempt: 1, deaths: 1, isOwn: true });
    swallow('"anew":');
    const resumed = await after.resume(own, how);
    expect(resumed).toMatchObject(how === "anew" ? { attempt: 2, deaths: 1 } : { attempt: 1, deaths: 0 });
    expect(swallowed).toHaveLength(2);
    beside.destroy();
    expect(await after.commit(resumed!, completed("j1"))).toBe("committed");
  },
  180_000,
);

test("F5: connections that are reset again and again cost no job and no event", async () => {
  const redis = kept(await openPrivateRedis());
  const proxy = kept(await openTcpProxy(redis.port));
  const settings = { type: "single", address: { host: "127.0.0.1", port: proxy.port } } as const;
  const host = kept(redisHost("h1", { settings, limits: { leaseMs: 60_000 } }));
  const sent = Array.from({ length: 60 }, (_, at) => `j${at}`);
  for (const id of sent) await redis.ask("XADD", STREAM_A, "*", "id", id);
  const stop = new AbortController();
  const resetting = (async () => {
    // A little more seldom each time: on whatever machine, some day it gets as far as a claim.
    for (let pauseMs = 70; !stop.signal.aborted; pauseMs += 5) {
      proxy.reset();
      await sleep(pauseMs);
    }
  })();
  const handed: string[] = [];
  while (handed.length < sent.length) {
    const claims = await host.claim(3, 1000, signal());
    for (const claim of claims) {
      expect(claim.deaths).toBe(0);
      handed.push(claim.jobId);
      await host.publish([{ type: "TaskStarted", json: { id: claim.jobId } }], claim);
      expect(await host.commit(claim, completed(claim.jobId))).toBe("committed");
    }
    if (handed.length > 30) stop.abort();
  }
  stop.abort();
  await resetting;
  expect(handed.toSorted()).toEqual(sent.toSorted());
  expect(host.figures.reconnects).toBeGreaterThan(0);
  const events = await eventsIn(redis.ask);
  expect(events.filter(({ type }) => type === "TaskStarted")).toHaveLength(sent.length);
  expect(events.filter(({ type }) => type === "TaskCompleted")).toHaveLength(sent.length);
  expect(await held(redis.ask)).toBe(0);
}, 240_000);

test("a report that waits in vain is refused when the host closes, and a full buffer refuses at once", async () => {
  const redis = kept(await openPrivateRedis());
  const host = kept(redisHost("h1", { settings: redis.settings, limits: { maxBuffered: 3, flushMs: 100 } }));
  await host.untilUp(signal());
  await redis.stop("SIGKILL");
  await poll("away", () => host.state.type === "away" || host.state.type);
  const waiting = [1, 2, 3].map(async (n) => await host.publish([{ type: "E", json: { n } }]));
  await expect(host.publish([{ type: "E", json: {} }])).rejects.toMatchObject({ code: "QUEUE_UNAVAILABLE" });
  expect(host.figures.buffered).toBe(3);
  const settled = Promise.allSettled(waiting);
  await host[Symbol.asyncDispose]();
  for (const one of await settled) expect(one.status).toBe("rejected");
});

async function untilClaimed(host: JobSource, count: number): Promise<readonly Claim[]> {
  const claims: Claim[] = [];
  for (let tries = 0; claims.length < count && tries < 50; tries += 1) {
    claims.push(...(await host.claim(count - claims.length, 1000, signal())));
  }
  return claims;
}

async function renewUntil(
  host: RedisSource,
  claims: readonly Claim[],
  stop: AbortSignal,
  leaseMs: number,
): Promise<void> {
  while (!stop.aborted) {
    expect(await host.renew(claims)).toEqual([]);
    await sleep(leaseMs / 3);
  }
}

/** Nothing of this process goes on meanwhile. */
function standStill(ms: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
}

async function held(ask: Ask): Promise<number> {
  return await pendingIn(ask, STREAM_A);
}
