import { describe, expect, test } from "vitest";
import type { Claim } from "../../src/core/index.ts";
import { claimOne, completed, LONG_LEASE_MS, STREAM_A, signal } from "../conformance/job-source/world.ts";
import { kept } from "../support/kept.ts";
import { poll } from "../support/poll.ts";
import { openPrivateRedis, type PrivateRedis } from "../support/private-redis.ts";
import { PATIENT, pendingIn, redisHost } from "../support/redis-world.ts";

type Host = ReturnType<typeof redisHost>;

/** A host to which no pause is a fault, and whose jobs are nobody else's for as long as a test lasts. */
function hostOn(
  redis: PrivateRedis,
  name: string,
  limits: { maxEvents?: number; maxDead?: number } = {},
): Host {
  const lease = { leaseMs: LONG_LEASE_MS };
  return redisHost(name, { settings: redis.settings, times: PATIENT, limits: { ...lease, ...limits } });
}

/** How many connections wait in a pop. */
async function popsIn(redis: PrivateRedis): Promise<number> {
  const clients = String(await redis.ask("CLIENT", "LIST")).split("\n");
  return clients.filter((line) => / flags=\S*b/.test(line) && line.includes("cmd=brpop")).length;
}

async function waitForPops(redis: PrivateRedis, count: number): Promise<void> {
  await poll(`${count} wait in a pop`, async () => {
    const found = await popsIn(redis);
    return found === count || String(found);
  });
}

/** Waits until a list lives for some time, and not for ever. */
async function hasEnd(redis: PrivateRedis, key: string): Promise<void> {
  await poll(`${key} has an end`, async () => {
    const left = Number(await redis.ask("TTL", key));
    return left > 0 || String(left);
  });
}

describe("the wait for commands", () => {
  test("D8: the wait for commands holds nothing else up, and is over when nobody listens", async () => {
    const redis = kept(await openPrivateRedis());
    const host = kept(hostOn(redis, "h1"));
    const job = new AbortController();
    await host.watchCommands("j1", () => undefined, job.signal);
    await waitForPops(redis, 1);
    await redis.ask("XADD", STREAM_A, "*", "id", "j2");
    expect(await host.commit(await claimOne(host), completed("j2"))).toBe("committed");
    job.abort();
    await waitForPops(redis, 0);
  });

  test("D8: a wait that has not begun can be ended as well", async () => {
    const redis = kept(await openPrivateRedis());
    const host = kept(hostOn(redis, "h1"));
    await host.untilUp(signal());
    for (let at = 0; at < 100; at += 1) {
      const job = new AbortController();
      const looked = host.watchCommands(`j${at}`, () => undefined, job.signal);
      job.abort();
      await looked;
    }
    await waitForPops(redis, 0);
    const heard: string[] = [];
    await host.watchCommands("last", (message) => heard.push(message), signal());
    await redis.ask("LPUSH", "task:last:commands", "kill");
    await poll("the last one hears", () => heard.length > 0 || "nothing");
  });

  test("D7: what was sent before a host came up is heard in its order by the first look", async () => {
    const redis = kept(await openPrivateRedis());
    // A wait that began beside the look took a message from it in one of some twenty.
    for (let at = 0; at < 40; at += 1) {
      for (const message of ["one", "two", "three"]) await redis.ask("LPUSH", `task:j${at}:events`, message);
      const host = kept(hostOn(redis, `h${at}`));
      const heard: string[] = [];
      await host.watchCommands(`j${at}`, (message) => heard.push(message), signal());
      expect(heard).toEqual(["one", "two", "three"]);
      await host[Symbol.asyncDispose]();
    }
  });

  test("D7: so is what is sent to a job that comes back while the wait of before still holds its lists", async () => {
    const redis = kept(await openPrivateRedis());
    const host = kept(hostOn(redis, "h1"));
    for (let at = 0; at < 10; at += 1) {
      const before = new AbortController();
      await host.watchCommands("j", () => undefined, before.signal);
      await waitForPops(redis, 1);
      before.abort();
      for (const message of ["one", "two", "three"]) await redis.ask("LPUSH", "task:j:commands", message);
      const now = new AbortController();
      const heard: string[] = [];
      await host.watchCommands("j", (message) => heard.push(message), now.signal);
      expect(heard.toSorted()).toEqual(["one", "three", "two"]);
      now.abort();
      await waitForPops(redis, 0);
    }
  });

  test("D8: closing does not wait for the pop, nor for a server that stands still", async () => {
    const redis = kept(await openPrivateRedis());
    const host = redisHost("h1", { settings: redis.settings });
    await host.watchCommands("j1", () => undefined, signal());
    await waitForPops(redis, 1);
    await redis.standStill();
    await host[Symbol.asyncDispose]();
    redis.goOn();
    await waitForPops(redis, 0);
  });
});

describe("what is left in Redis", () => {
  const open = async (
    id: string,
  ): Promise<{ redis: PrivateRedis; claim: Claim; host: Host; end(): void }> => {
    const redis = kept(await openPrivateRedis());
    const host = kept(hostOn(redis, "h1"));
    await redis.ask("XADD", STREAM_A, "*", "id", id);
    const claim = await claimOne(host);
    const job = new AbortController();
    await host.watchCommands(id, () => undefined, job.signal);
    return { redis, claim, host, end: () => job.abort() };
  };
  const lists = ["task:j:commands", "task:j:events"];

  test.each(lists)("D20: a kill that comes to %s after the end is not kept for ever", async (list) => {
    const { redis, claim, host, end } = await open("j");
    await host.commit(claim, completed("j"));
    end();
    await hasEnd(redis, list);
    await redis.ask("LPUSH", list, "kill");
    expect(Number(await redis.ask("TTL", list))).toBeGreaterThan(60);
    expect(await redis.ask("LRANGE", list, "0", "0")).toEqual(["kill"]);
  });

  test("D20: nor one that comes between the end and the end of listening", async () => {
    const { redis, claim, host, end } = await open("j");
    await waitForPops(redis, 1);
    await host.commit(claim, completed("j"));
    end();
    // The pop of before may take it still: then it is put back.
    await redis.ask("LPUSH", "task:j:commands", "kill");
    for (const list of lists) await hasEnd(redis, list);
  });

  test("D20: nor one to a job that is put aside unheard, or whose host closes at once", async () => {
    const redis = kept(await openPrivateRedis());
    const host = hostOn(redis, "h1");
    await redis.ask("XADD", STREAM_A, "*", "id", "dead");
    const claim = await claimOne(host);
    await redis.ask("LPUSH", "task:dead:commands", "kill");
    expect(await host.deadLetter(claim, "poison", [])).toBe("committed");
    await host[Symbol.asyncDispose]();
    expect(Number(await redis.ask("TTL", "task:dead:commands"))).toBeGreaterThan(60);
    await redis.ask("LPUSH", "task:dead:events", "kill");
    expect(Number(await redis.ask("TTL", "task:dead:events"))).toBeGreaterThan(60);
  });

  test("D20: what ends the lists is no command: the next life of the id hears what is meant for it", async () => {
    const { redis, claim, host, end } = await open("j");
    await host.deadLetter(claim, "poison", []);
    end();
    for (const list of lists) await hasEnd(redis, list);
    expect(await host.replay("all", signal())).toBe(1);
    await redis.ask("LPUSH", "task:j:commands", "kill");
    const heard: string[] = [];
    await host.watchCommands("j", (message) => heard.push(message), signal());
    expect(heard).toEqual(["kill"]);
  });

  test("D20: a job that goes to another host keeps what was sent to it, and nothing else is put there", async () => {
    const { redis, claim, host, end } = await open("j");
    await host.release([claim], "its host stops");
    end();
    await waitForPops(redis, 0);
    expect(await redis.ask("EXISTS", ...lists)).toBe(0);
    await redis.ask("LPUSH", "task:j:commands", "kill");
    const other = kept(hostOn(redis, "h2"));
    expect(await claimOne(other)).toMatchObject({ jobId: "j" });
    const heard: string[] = [];
    await other.watchCommands("j", (message) => heard.push(message), signal());
    expect(heard).toEqual(["kill"]);
  });

  test("D20: events, dead entries and requests that are done do not pile up", async () => {
    const redis = kept(await openPrivateRedis({ args: ["--stream-node-max-entries", "10"] }));
    const limits = { maxEvents: 50, maxDead: 20 };
    const host = kept(hostOn(redis, "h1", limits));
    for (let at = 0; at < 300; at += 1) await redis.ask("XADD", STREAM_A, "*", "id", `j${at}`);
    for (let ended = 0; ended < 300; ) {
      const claims = await host.claim(50, 60_000, signal());
      for (const [at, claim] of claims.entries()) {
        if (at % 2 === 0) await host.commit(claim, completed(claim.jobId));
        else await host.deadLetter(claim, "poison", []);
      }
      ended += claims.length;
    }
    // Redis trims whole nodes of ten.
    expect(Number(await redis.ask("XLEN", "events"))).toBeLessThanOrEqual(limits.maxEvents + 10);
    expect(Number(await redis.ask("XLEN", "hearth:dead"))).toBeLessThanOrEqual(limits.maxDead + 10);
    expect(await redis.ask("XLEN", STREAM_A)).toBe(0);
    expect(await pendingIn(redis.ask, STREAM_A)).toBe(0);
    const done = (await redis.ask("KEYS", "hearth:done:*")) as string[];
    expect(done.length).toBeGreaterThan(0);
    for (const key of done) {
      expect(Number(await redis.ask("TTL", key))).toBeGreaterThan(0);
    }
  });
});
