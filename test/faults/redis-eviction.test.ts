import { describe, expect, test } from "vitest";
import type { Log } from "../../src/core/index.ts";
import { Secret } from "../../src/core/index.ts";
import { claimOne, completed, STREAM_A, signal } from "../conformance/job-source/world.ts";
import { kept } from "../support/kept.ts";
import { poll } from "../support/poll.ts";
import { openPrivateRedis } from "../support/private-redis.ts";
import { pendingIn, redisHost } from "../support/redis-world.ts";
import { StreamWorld } from "../support/stream-world.ts";

const EVICTS = ["--maxmemory-policy", "allkeys-lru"];

interface Noting extends Log {
  readonly lines: string[];
}

function noting(): Noting {
  const lines: string[] = [];
  return { lines, log: (level, event, fields) => lines.push(JSON.stringify([level, event, fields])) };
}

describe("a server that may evict keys", () => {
  test("gives this host nothing, is called broken by its policy, and is well once the policy is changed", async () => {
    const redis = kept(await openPrivateRedis({ args: EVICTS }));
    const log = noting();
    const host = kept(redisHost("h1", { settings: redis.settings, log }));
    await redis.ask("XADD", STREAM_A, "*", "id", "j");
    await host.untilUp(signal());
    // Nobody has to ask for a job to hear of it.
    await poll("it is said", () => host.state.type === "broken" || JSON.stringify(host.state));
    expect(host.state).toMatchObject({
      type: "broken",
      reason: expect.stringContaining("allkeys-lru") as unknown,
    });
    expect(await host.claim(1, 700, signal())).toEqual([]);
    expect(await pendingIn(redis.ask, STREAM_A)).toBe(0);
    expect(log.lines.filter((line) => line.includes("queue.broken"))).toHaveLength(1);
    const remarks = log.lines.filter((line) => line.includes("queue.remarked"));
    expect(remarks).toEqual([expect.not.stringContaining("maxmemory")]);
    await redis.ask("CONFIG", "SET", "maxmemory-policy", "noeviction");
    const claim = await claimOne(host);
    expect(await host.commit(claim, completed("j"))).toBe("committed");
    expect([claim.attempt, claim.deaths, host.state]).toEqual([1, 0, { type: "connected" }]);
    expect(log.lines.filter((line) => line.includes("queue.repaired"))).toHaveLength(1);
  });

  test("is found by each new connection, and what this host holds by then is completed", async () => {
    const redis = kept(await openPrivateRedis());
    const host = kept(redisHost("h1", { settings: redis.settings, limits: { leaseMs: 60_000 } }));
    for (const id of ["held", "next"]) await redis.ask("XADD", STREAM_A, "*", "id", id);
    const held = await claimOne(host);
    await redis.ask("CONFIG", "SET", "maxmemory-policy", "volatile-ttl");
    await redis.ask("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes");
    await poll(
      "it is said",
      () => JSON.stringify(host.state).includes("volatile-ttl") || JSON.stringify(host.state),
    );
    expect(await host.claim(1, 700, signal())).toEqual([]);
    expect(await host.renew([held])).toEqual([]);
    expect(await host.commit(held, completed("held"))).toBe("committed");
    await redis.ask("CONFIG", "SET", "maxmemory-policy", "noeviction");
    await poll("it is well with nobody asking", () => host.state.type === "connected" || host.state.type);
    expect((await claimOne(host)).jobId).toBe("next");
  });

  test("gives a host that comes back what is its own, and nothing else", async () => {
    const redis = kept(await openPrivateRedis());
    const options = { settings: redis.settings, limits: { leaseMs: 60_000 } };
    const before = kept(redisHost("h1", options));
    await redis.ask("XADD", STREAM_A, "*", "id", "mine");
    await claimOne(before);
    await before[Symbol.asyncDispose]();
    await redis.ask("XADD", STREAM_A, "*", "id", "new");
    await redis.ask("CONFIG", "SET", "maxmemory-policy", "volatile-lru");
    const after = kept(redisHost("h1", options));
    await after.untilUp(signal());
    const own = await claimOne(after);
    expect(own).toMatchObject({ jobId: "mine", attempt: 1, isOwn: true });
    expect(await after.claim(1, 700, signal())).toEqual([]);
    expect([after.hasGivenOwn, after.state.type]).toEqual([true, "broken"]);
    const resumed = await after.resume(own, "goes-on");
    expect(await after.commit(resumed!, completed("mine"))).toBe("committed");
  });

  test("gives jobs where that is allowed, with a warning", async () => {
    const redis = kept(await openPrivateRedis({ args: EVICTS }));
    const log = noting();
    const host = kept(redisHost("h1", { settings: redis.settings, log, limits: { allowsEviction: true } }));
    await redis.ask("XADD", STREAM_A, "*", "id", "j");
    expect((await claimOne(host)).jobId).toBe("j");
    expect(host.state).toEqual({ type: "connected" });
    const remarks = log.lines.filter((line) => line.includes("queue.remarked"));
    expect(remarks).toEqual([expect.stringContaining("allkeys-lru")]);
  });

  test("gives jobs to a user who may not ask for its policy", async () => {
    const redis = kept(await openPrivateRedis({ args: EVICTS }));
    await redis.ask("ACL", "SETUSER", "blind", "on", ">secret", "~*", "&*", "+@all", "-info");
    const access = { username: "blind", password: new Secret("secret") };
    const host = kept(redisHost("h1", { settings: { ...redis.settings, ...access } }));
    await redis.ask("XADD", STREAM_A, "*", "id", "j");
    expect((await claimOne(host)).jobId).toBe("j");
    expect(host.state).toEqual({ type: "connected" });
  });
});

test("a daemon on a server that may evict keys is ill by name and takes jobs once the policy is changed, or at once where it is allowed", async () => {
  const world = kept(await StreamWorld.open({ redisArgs: EVICTS }));
  const careful = await world.startHost("careful");
  await poll("health names the policy", async () => {
    const health = await fetch(`${careful.monitorUrl}/monitoring/health`);
    const text = await health.text();
    return (health.status === 503 && text.includes("maxmemory-policy is allkeys-lru")) || text;
  });
  const daring = await world.startHost("daring", "", { env: { HEARTH_STREAM_REDIS_ALLOW_EVICTION: "true" } });
  const first = await world.submit("test.noop");
  expect(await world.ending(first)).toMatchObject({ json: { status: "success", host: "daring" } });
  await poll("it warns", () => daring.log().includes("queue.remarked") || daring.log());
  await daring.end("SIGTERM");
  await world.redis.ask("CONFIG", "SET", "maxmemory-policy", "noeviction");
  const second = await world.submit("test.noop");
  expect(await world.ending(second)).toMatchObject({ json: { status: "success", host: "careful" } });
  await poll("health is well", async () => {
    const { status } = await fetch(`${careful.monitorUrl}/monitoring/health`);
    return status === 200 || String(status);
  });
}, 180_000);
